/* Makes a local PostgreSQL server accept IAM tokens with `hostssl all +rds_iam … pam`:
 * a PAM module that sends the token to tests/lab/verifier.py, and a replacement of
 * pam_start, so that no file in /etc/pam.d is needed. (pam_exec can't be used, because it
 * truncates passwords at 511 bytes.)
 *
 *     cc -shared -fPIC -o pam_rds_iam.so pam_rds_iam.c
 *
 *     # $RDS_LAB_PAM_DIRECTORY/rds
 *     auth    required /…/pam_rds_iam.so VERIFIER_SOCKET
 *     account required /…/pam_rds_iam.so
 *
 *     LD_PRELOAD=/…/pam_rds_iam.so RDS_LAB_PAM_DIRECTORY=… postgres …
 *
 * It writes nothing to any log. The declarations are those of Linux-PAM's
 * security/_pam_types.h, pam_appl.h and pam_ext.h (1.4 and later), so that no header
 * package is needed. The functions are in the libpam that PostgreSQL has loaded. */

#include <stdlib.h>

#include "verifier_client.h"

enum { PAM_SUCCESS = 0, PAM_AUTH_ERR = 7, PAM_ABORT = 26 };
enum { PAM_USER = 2, PAM_AUTHTOK = 6 };

typedef struct pam_handle pam_handle_t;
struct pam_conv;

int pam_get_item(const pam_handle_t *pam, int item, const void **value);
int pam_get_authtok(pam_handle_t *pam, int item, const char **token, const char *prompt);
int pam_start_confdir(const char *service, const char *user, const struct pam_conv *conversation,
                      const char *directory, pam_handle_t **pam);

/* Replaces libpam's pam_start if this library is preloaded. */
int pam_start(const char *service, const char *user, const struct pam_conv *conversation,
              pam_handle_t **pam)
{
    const char *directory = getenv("RDS_LAB_PAM_DIRECTORY");
    if (!directory)
        return PAM_ABORT;
    return pam_start_confdir(service, user, conversation, directory, pam);
}

int pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)flags;
    const void *user = NULL;
    const char *token = NULL;
    if (argc != 1 || pam_get_item(pam, PAM_USER, &user) != PAM_SUCCESS || !user
        || pam_get_authtok(pam, PAM_AUTHTOK, &token, NULL) != PAM_SUCCESS || !token)
        return PAM_AUTH_ERR;
    bool accepted = verifier_accepts(argv[0], user, strlen(user), token, strlen(token));
    return accepted ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)pam, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}

int pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    return pam_sm_acct_mgmt(pam, flags, argc, argv);
}
