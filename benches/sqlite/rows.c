/* Rows into SQLite and out of it: the same source is the guest and the native program of the benchmark. */
#include <string.h>
#include "sqlite3.h"

#define EXPORT __attribute__((visibility("default"), used))

static sqlite3 *db;

static int run(const char *sql) {
    sqlite3_stmt *stmt;
    int result = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (result == SQLITE_OK) {
        sqlite3_step(stmt);
        result = sqlite3_finalize(stmt);
    }
    return result;
}

/* "row 0000001" */
static void name_of(int row, char name[12]) {
    memcpy(name, "row 0000000", 12);
    for (int at = 10; row > 0; at--, row /= 10) {
        name[at] = (char)('0' + row % 10);
    }
}

/* Opens an empty database in memory. 0 is good, for all functions. */
EXPORT int rows_open(void) {
    int result = sqlite3_open(":memory:", &db);
    return result != SQLITE_OK ? result
                               : run("CREATE TABLE rows(id INTEGER PRIMARY KEY, name TEXT, value REAL)");
}

EXPORT int rows_clear(void) { return run("DELETE FROM rows"); }

EXPORT int rows_insert(int count) {
    sqlite3_stmt *insert;
    if (run("BEGIN") != SQLITE_OK) {
        return 1;
    }
    if (sqlite3_prepare_v2(db, "INSERT INTO rows VALUES (?, ?, ?)", -1, &insert, NULL) != SQLITE_OK) {
        return 2;
    }
    for (int row = 1; row <= count; row++) {
        char name[12];
        name_of(row, name);
        sqlite3_bind_int(insert, 1, row);
        sqlite3_bind_text(insert, 2, name, 11, SQLITE_TRANSIENT);
        sqlite3_bind_double(insert, 3, row * 0.5);
        if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK) {
            return 3;
        }
    }
    sqlite3_finalize(insert);
    return run("COMMIT");
}

/* What every row says, summed: the caller compares. */
EXPORT double rows_select(void) {
    sqlite3_stmt *select;
    double sum = 0;
    if (sqlite3_prepare_v2(db, "SELECT id, name, value FROM rows", -1, &select, NULL) != SQLITE_OK) {
        return -1;
    }
    while (sqlite3_step(select) == SQLITE_ROW) {
        const unsigned char *name = sqlite3_column_text(select, 1);
        sum += sqlite3_column_int(select, 0) + name[10] + sqlite3_column_double(select, 2);
    }
    sqlite3_finalize(select);
    return sum;
}
