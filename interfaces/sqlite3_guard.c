/* sqlite3_guard.c: keeps the SQL of a guest from running native code.
 *
 * Not for guests: this is native code of the host. Build it once and load it before Portcullis
 * loads SQLite:
 *
 *     cc -shared -fPIC -O2 -o sqlite3_guard.so interfaces/sqlite3_guard.c -l:libsqlite3.so.0
 *     LD_PRELOAD=$PWD/sqlite3_guard.so portcullis run --grant interfaces/sqlite3.h ...
 *
 * An embedder may link it in, or do the same in its own language. From then on every new
 * connection of the process
 *  - lacks the SQL function fts3_tokenizer, which turns blobs into code pointers. Full-text search
 *    works as before; only tokenizers that an application registers through SQL are gone.
 *  - is "defensive": SQL cannot corrupt the database file on purpose.
 * A connection where that fails does not open.
 *
 * What remains is in the comment of sqlite3.h: the files of the host, deep recursion, state that is
 * shared in the process, time.
 */
#include <stdio.h>
#include <stdlib.h>

/* Types and constants only; what a guest must never get is declared here. */
#include "sqlite3.h"

#define SQLITE_DBCONFIG_DEFENSIVE 1010
int sqlite3_auto_extension(void (*entry)(void));
int sqlite3_db_config(sqlite3 *db, int op, ...);
int sqlite3_create_function_v2(sqlite3 *db, const char *name, int arguments, int encoding, void *app,
                               void (*call)(void), void (*step)(void), void (*final)(void),
                               void (*destroy)(void *));

static int guard(sqlite3 *db, char **error, const void *api)
{
    (void)error;
    (void)api;
    /* A function without code is deleted; each number of arguments is a function of its own. */
    for (int arguments = 1; arguments <= 2; arguments++) {
        int code = sqlite3_create_function_v2(db, "fts3_tokenizer", arguments, SQLITE_UTF8, NULL, NULL,
                                              NULL, NULL, NULL);
        if (code != SQLITE_OK)
            return code;
    }
    return sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
}

__attribute__((constructor)) static void install(void)
{
    /* The parameter's type is a formality of SQLite's: it calls a function of guard's type. */
    if (sqlite3_auto_extension((void (*)(void))guard) != SQLITE_OK) {
        fputs("sqlite3_guard: SQLite does not accept the guard\n", stderr);
        exit(EXIT_FAILURE);
    }
}
