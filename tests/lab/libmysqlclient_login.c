/* Logs in with MySQL's own client library, and prints CURRENT_USER().
 *
 *     libmysqlclient_login FILE                              with an option file only
 *     libmysqlclient_login HOST PORT USER PASSWORD CA        with options that verify the server
 */
#include <mysql/mysql.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(MYSQL *db)
{
    fprintf(stderr, "%s\n", mysql_error(db));
    return 1;
}

int main(int count, char **arguments)
{
    MYSQL *db = mysql_init(NULL);
    if (count == 2) {
        mysql_options(db, MYSQL_READ_DEFAULT_FILE, arguments[1]);
        if (!mysql_real_connect(db, NULL, NULL, NULL, NULL, 0, NULL, 0))
            return fail(db);
    } else if (count == 6) {
        unsigned mode = SSL_MODE_VERIFY_IDENTITY;
        bool is_enabled = true;
        mysql_options(db, MYSQL_OPT_SSL_MODE, &mode);
        mysql_options(db, MYSQL_OPT_SSL_CA, arguments[5]);
        mysql_options(db, MYSQL_ENABLE_CLEARTEXT_PLUGIN, &is_enabled);
        unsigned port = (unsigned)atoi(arguments[2]);
        if (!mysql_real_connect(db, arguments[1], arguments[3], arguments[4], NULL, port, NULL, 0))
            return fail(db);
    } else {
        return 2;
    }
    if (mysql_query(db, "SELECT CURRENT_USER()"))
        return fail(db);
    puts(mysql_fetch_row(mysql_store_result(db))[0]);
    return 0;
}
