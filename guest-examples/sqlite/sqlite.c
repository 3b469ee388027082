// A round trip through the SQLite of the host: tables, bound values of every type, a query, errors.
//
// The header is the interface that the host grants. The database is in memory unless a path is
// given; a path is one of the HOST's, since it is SQLite that opens it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite3.h"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS elements("
    "  number INTEGER PRIMARY KEY, name TEXT NOT NULL, mass REAL, symbol BLOB);"
    "DELETE FROM elements;";

static const char insert[] = "INSERT INTO elements VALUES(?, ?, ?, ?)";

struct element {
    int number;
    const char *name;
    double mass;              // 0: unknown, NULL in the table
    const char *symbol;       // bytes, not a string: one has a NUL inside
    int symbol_size;
};

static const struct element elements[] = {
    { 1, "hydrogen", 1.008, "H", 1 },
    { 26, "iron", 55.845, "F\0e", 3 },
    { 92, "uranium", 238.02891, "U", 1 },
    { 118, "oganesson", 0, NULL, 0 },
};

// Ends the program when SQLite refused; the message is a string of the host, copied here.
static void must(sqlite3 *db, const char *what, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) {
        fprintf(stderr, "sqlite: %s: %s (%d)\n", what, sqlite3_errmsg(db), code);
        sqlite3_close(db);
        exit(EXIT_FAILURE);
    }
}

static void run(sqlite3 *db, const char *sql)
{
    // No callback: these statements return no rows.
    char *message = NULL;
    int code = sqlite3_exec(db, sql, 0, 0, &message);
    if (code != SQLITE_OK)
        printf("exec said %d: %s\n", code, message);
    // message is a copy in this guest's memory, and this is its own free.
    sqlite3_free(message);
}

static void fill(sqlite3 *db)
{
    sqlite3_stmt *stmt;
    must(db, "prepare", sqlite3_prepare_v2(db, insert, -1, &stmt, NULL));
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        const struct element *e = &elements[i];
        must(db, "bind", sqlite3_bind_int(stmt, 1, e->number));
        must(db, "bind", sqlite3_bind_text(stmt, 2, e->name, -1, SQLITE_TRANSIENT));
        if (e->mass > 0)
            must(db, "bind", sqlite3_bind_double(stmt, 3, e->mass));
        else
            must(db, "bind", sqlite3_bind_null(stmt, 3));
        must(db, "bind", sqlite3_bind_blob(stmt, 4, e->symbol, e->symbol_size, SQLITE_TRANSIENT));
        must(db, "step", sqlite3_step(stmt));
        must(db, "reset", sqlite3_reset(stmt));
    }
    must(db, "finalize", sqlite3_finalize(stmt));
    printf("inserted, last rowid %lld\n", sqlite3_last_insert_rowid(db));
}

static void print_blob(const unsigned char *bytes, int size)
{
    printf("%d bytes", size);
    for (int i = 0; i < size; i++)
        printf(" %02x", bytes[i]);
}

static void query(sqlite3 *db)
{
    // Two statements in one text: the first ends at the tail, which points into the text.
    const char *sql = "SELECT number, name, mass, symbol FROM elements WHERE number > ? ORDER BY number; SELECT 2";
    const char *tail;
    sqlite3_stmt *stmt;
    must(db, "prepare", sqlite3_prepare_v2(db, sql, (int)strlen(sql), &stmt, &tail));
    printf("%d columns, first \"%s\", then \"%s\"\n", sqlite3_column_count(stmt),
           sqlite3_column_name(stmt, 0), tail);

    must(db, "bind", sqlite3_bind_int64(stmt, 1, 1));
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        // These two last until the next step: each row has new copies.
        const unsigned char *name = sqlite3_column_text(stmt, 1);
        const void *symbol = sqlite3_column_blob(stmt, 3);
        printf("%3d %s", sqlite3_column_int(stmt, 0), (const char *)name);
        if (sqlite3_column_type(stmt, 2) == SQLITE_NULL)
            printf(", mass unknown, ");
        else
            printf(", mass %.3f, ", sqlite3_column_double(stmt, 2));
        print_blob(symbol, sqlite3_column_bytes(stmt, 3));
        printf("\n");
    }
    must(db, "step", code);

    // SQLite refuses to close what is still in use; the connection stays ours.
    printf("close with a statement open: %s\n", sqlite3_errstr(sqlite3_close(db)));
    must(db, "finalize", sqlite3_finalize(stmt));
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: sqlite [DATABASE]\n");
        return 2;
    }
    // Even a failed open gives a connection, to ask for the message.
    sqlite3 *db = NULL;
    int code = sqlite3_open(argc == 2 ? argv[1] : ":memory:", &db);
    must(db, "open", code);

    run(db, schema);
    fill(db);
    query(db);

    run(db, "SELECT * FROM elephants");
    run(db, "INSERT INTO elements VALUES(26, 'iron again', NULL, NULL)");
    sqlite3_stmt *stmt;
    code = sqlite3_prepare_v2(db, "SELEKT 1", -1, &stmt, NULL);
    printf("prepare said %d: %s\n", code, sqlite3_errmsg(db));

    must(db, "close", sqlite3_close(db));
    return EXIT_SUCCESS;
}
