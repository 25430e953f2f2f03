/* AWSAuthenticationPlugin for a local MariaDB or MySQL server, so that
 *
 *     CREATE USER 'u'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL
 *
 * works as on RDS. The plugin requests the password in clear text, as RDS does, and
 * sends it to tests/lab/verifier.py on the unix socket in the variable RDS_LAB_VERIFIER.
 * It writes nothing to any log.
 *
 *     cc -shared -fPIC -o aws_authentication_plugin.so aws_authentication_plugin.c
 *     cc -DFOR_MYSQL …                                       for Oracle's MySQL 8 and 9
 *
 * The structures of the plugin API are declared here, so that no header package is
 * needed. They are those of include/mysql/plugin.h, plugin_auth.h and
 * plugin_auth_common.h of MariaDB 10.11 and MySQL 8.4. */

#include <stdlib.h>

#include "verifier_client.h"

enum { AUTHENTICATION_PLUGIN = 7, LICENSE_BSD = 2, MATURITY_STABLE = 5 };
enum { CR_OK = -1, CR_ERROR = 0 };
enum { PASSWORD_USED_YES = 1 };

#ifdef FOR_MYSQL
enum { PLUGIN_INTERFACE = 0x010b, AUTH_INTERFACE = 0x0201 };
enum { AUTHENTICATED_AS_SIZE = 96 + 1, EXTERNAL_USER_SIZE = 512 };
#else
enum { PLUGIN_INTERFACE = 0x010f, AUTH_INTERFACE = 0x0202 };
enum { AUTHENTICATED_AS_SIZE = 512 + 1, EXTERNAL_USER_SIZE = 512 + 1 };
#endif

struct plugin_vio {
    int (*read_packet)(struct plugin_vio *vio, unsigned char **packet);
    int (*write_packet)(struct plugin_vio *vio, const unsigned char *packet, int length);
    void (*info)(struct plugin_vio *vio, void *info);
};

/* The first fields of MYSQL_SERVER_AUTH_INFO. The others are not used here. */
struct server_auth_info {
    const char *user_name;
    unsigned int user_name_length;
    const char *auth_string;
    unsigned long auth_string_length;
    char authenticated_as[AUTHENTICATED_AS_SIZE];
    char external_user[EXTERNAL_USER_SIZE];
    int password_used;
};

static int authenticate(struct plugin_vio *vio, struct server_auth_info *info)
{
    /* No data, as from Aurora; sqlx refuses data here. */
    if (vio->write_packet(vio, (const unsigned char *)"", 0))
        return CR_ERROR;
    unsigned char *packet;
    int length = vio->read_packet(vio, &packet);
    if (length < 1 || packet[length - 1] != '\0') /* mysql_clear_password adds a NUL */
        return CR_ERROR;
    info->password_used = PASSWORD_USED_YES; /* for "Access denied … (using password: YES)" */

    const char *verifier = getenv("RDS_LAB_VERIFIER");
    if (!verifier || !info->user_name)
        return CR_ERROR;
    bool accepted = verifier_accepts(verifier, info->user_name, info->user_name_length,
                                     (const char *)packet, (size_t)length - 1);
    return accepted ? CR_OK : CR_ERROR;
}

#ifdef FOR_MYSQL

/* 'RDS' is stored unchanged and without a salt. */
static int copy_text(char *out, unsigned int *out_length, const char *in, unsigned int in_length)
{
    if (*out_length < in_length)
        return 1;
    memcpy(out, in, in_length);
    *out_length = in_length;
    return 0;
}

static int accept_text(char *const text, unsigned int length)
{
    (void)text, (void)length;
    return 0;
}

static int no_salt(const char *text, unsigned int length, unsigned char *salt,
                   unsigned char *salt_length)
{
    (void)text, (void)length, (void)salt;
    *salt_length = 0;
    return 0;
}

static struct {
    int interface_version;
    const char *client_auth_plugin;
    int (*authenticate_user)(struct plugin_vio *, struct server_auth_info *);
    int (*generate_authentication_string)(char *, unsigned int *, const char *, unsigned int);
    int (*validate_authentication_string)(char *const, unsigned int);
    int (*set_salt)(const char *, unsigned int, unsigned char *, unsigned char *);
    unsigned long authentication_flags;
    int (*compare_password_with_hash)(const char *, unsigned long, const char *, unsigned long,
                                      int *);
} auth = {
    .interface_version = AUTH_INTERFACE,
    .client_auth_plugin = "mysql_clear_password",
    .authenticate_user = authenticate,
    .generate_authentication_string = copy_text,
    .validate_authentication_string = accept_text,
    .set_salt = no_salt,
};

struct plugin {
    int type;
    void *info;
    const char *name, *author, *description;
    int license;
    int (*init)(void *);
    int (*check_uninstall)(void *);
    int (*deinit)(void *);
    unsigned int version;
    void *status_variables, *system_variables, *reserved;
    unsigned long flags;
};

#define PLUGIN_SYMBOL(name) _mysql_##name
#define PLUGIN_TAIL .flags = 0

#else

static struct {
    int interface_version;
    const char *client_auth_plugin;
    int (*authenticate_user)(struct plugin_vio *, struct server_auth_info *);
    int (*hash_password)(const char *, size_t, char *, size_t *);
    int (*preprocess_hash)(const char *, size_t, unsigned char *, size_t *);
} auth = {
    .interface_version = AUTH_INTERFACE,
    .client_auth_plugin = "mysql_clear_password",
    .authenticate_user = authenticate,
};

struct plugin {
    int type;
    void *info;
    const char *name, *author, *description;
    int license;
    int (*init)(void *);
    int (*deinit)(void *);
    unsigned int version;
    void *status_variables, *system_variables;
    const char *version_text;
    unsigned int maturity;
};

#define PLUGIN_SYMBOL(name) _maria_##name
#define PLUGIN_TAIL .version_text = "1.0", .maturity = MATURITY_STABLE

#endif

/* The three symbols that the server reads. An empty entry terminates the list. */
int PLUGIN_SYMBOL(plugin_interface_version_) = PLUGIN_INTERFACE;
int PLUGIN_SYMBOL(sizeof_struct_st_plugin_) = sizeof(struct plugin);
struct plugin PLUGIN_SYMBOL(plugin_declarations_)[] = {
    {
        .type = AUTHENTICATION_PLUGIN,
        .info = &auth,
        .name = "AWSAuthenticationPlugin",
        .author = "rds-token",
        .description = "Accepts RDS IAM tokens, for tests",
        .license = LICENSE_BSD,
        .version = 0x0100,
        PLUGIN_TAIL,
    },
    { .type = 0 },
};
