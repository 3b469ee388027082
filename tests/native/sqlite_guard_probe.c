/* Prints what SQL can still do in a connection that guests would get; run with and without the guard. */
#include <stdio.h>
#include <string.h>

#include "sqlite3.h"

/* One line: the name, then "refused: why", "a row of N bytes" or "no row". */
static void try_sql(sqlite3 *db, const char *name, const char *sql, const char *bound)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        printf("%s: refused: %s\n", name, sqlite3_errmsg(db));
        return;
    }
    if (bound != NULL)
        sqlite3_bind_text(stmt, 1, bound, -1, SQLITE_TRANSIENT);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        printf("%s: a row of %d bytes\n", name, sqlite3_column_bytes(stmt, 0));
    else
        printf("%s: no row: %s\n", name, sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
}

int main(void)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) {
        printf("open: %s\n", sqlite3_errmsg(db));
        return 1;
    }
    try_sql(db, "read pointer", "SELECT fts3_tokenizer(?)", "simple");
    try_sql(db, "write pointer", "SELECT fts3_tokenizer(?, x'4141414141414141')", "probe");
    try_sql(db, "create", "CREATE VIRTUAL TABLE t USING fts3(x, tokenize=porter)", NULL);
    try_sql(db, "insert", "INSERT INTO t VALUES('running')", NULL);
    try_sql(db, "search", "SELECT x FROM t WHERE t MATCH 'run'", NULL);
    return sqlite3_close(db) != SQLITE_OK;
}
