// Extends the SQLite of the host with functions, an aggregate, a collation and hooks of this program.
//
// The header is the interface that the host grants. SQLite calls these functions in the middle of its own
// work; while it does, the connection cannot be used from here (the interface says why).
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite3.h"

static sqlite3 *db;

static void must(const char *what, int code)
{
    if (code != SQLITE_OK) {
        fprintf(stderr, "functions: %s: %s (%d)\n", what, sqlite3_errmsg(db), code);
        exit(EXIT_FAILURE);
    }
}

// Rows, as text. The first argument is what sqlite3_exec was given for it.
struct printer {
    int rows;
    bool names;
};

static int print_row(void *argument, int n, char **values, char **names)
{
    struct printer *printer = argument;
    printer->rows++;
    for (int i = 0; i < n; i++) {
        const char *value = values[i] ? values[i] : "NULL";
        if (printer->names)
            printf("%s%s=%s", i ? ", " : "  ", names[i], value);
        else
            printf("%s%s", i ? ", " : "  ", value);
    }
    printf("\n");
    return 0;
}

static void query(const char *sql, bool names)
{
    struct printer printer = { 0, names };
    char *message = NULL;
    printf("%s\n", sql);
    int code = sqlite3_exec(db, sql, print_row, &printer, &message);
    if (code != SQLITE_OK)
        printf("  error %d: %s\n", code, message);
    sqlite3_free(message);
}

// initials('Ada Lovelace') is 'A.L.'. What sqlite3_user_data returns is what the registration was given.
static void initials(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    const char *mark = sqlite3_user_data(ctx);
    const unsigned char *name = sqlite3_value_text(argv[0]);
    if (argc != 1 || name == NULL) {
        sqlite3_result_null(ctx);
        return;
    }
    char text[32];
    int n = 0;
    bool start = true;
    for (; *name != 0 && n < (int)sizeof text - 2; name++) {
        if (start && *name != ' ') {
            text[n++] = (char)*name;
            text[n++] = *mark;
        }
        start = *name == ' ';
    }
    sqlite3_result_text(ctx, text, n, SQLITE_TRANSIENT);
}

// reversed(x): the bytes of a blob backwards; an error for anything else.
static void reversed(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    (void)argc;
    if (sqlite3_value_type(argv[0]) != SQLITE_BLOB) {
        sqlite3_result_error(ctx, "reversed: a blob is wanted", -1);
        return;
    }
    int n = sqlite3_value_bytes(argv[0]);
    const unsigned char *bytes = sqlite3_value_blob(argv[0]);
    unsigned char *back = malloc(n > 0 ? (size_t)n : 1);
    if (back == NULL) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    for (int i = 0; i < n; i++)
        back[i] = bytes[n - 1 - i];
    sqlite3_result_blob(ctx, back, n, SQLITE_TRANSIENT);
    free(back);
}

// variance(x), by Welford's method. Its state is memory that SQLite gives each group, zero at first.
struct welford {
    long long n;
    double mean, squares;
};

static void variance_step(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    (void)argc;
    struct welford *w = sqlite3_aggregate_context(ctx, SQLITE_AGGREGATE_BYTES);
    if (w == NULL || sqlite3_value_type(argv[0]) == SQLITE_NULL)
        return;
    double x = sqlite3_value_double(argv[0]);
    double delta = x - w->mean;
    w->n++;
    w->mean += delta / (double)w->n;
    w->squares += delta * (x - w->mean);
}

static void variance_final(sqlite3_context *ctx)
{
    const struct welford *w = sqlite3_aggregate_context(ctx, SQLITE_AGGREGATE_BYTES);
    if (w == NULL || w->n < 1)
        sqlite3_result_null(ctx);
    else
        sqlite3_result_double(ctx, w->squares / (double)w->n);
}

// A collation in which "Apollo 9" comes before "Apollo 11". The texts do not end with NUL.
static int counting(void *argument, int na, const void *a, int nb, const void *b)
{
    (void)argument;
    const char *left = a, *right = b;
    int i = 0, j = 0;
    while (i < na && j < nb) {
        if (left[i] >= '0' && left[i] <= '9' && right[j] >= '0' && right[j] <= '9') {
            long x = 0, y = 0;
            for (; i < na && left[i] >= '0' && left[i] <= '9'; i++)
                x = x < 100000000 ? 10 * x + left[i] - '0' : x;
            for (; j < nb && right[j] >= '0' && right[j] <= '9'; j++)
                y = y < 100000000 ? 10 * y + right[j] - '0' : y;
            if (x != y)
                return x < y ? -1 : 1;
        } else if (left[i] != right[j]) {
            return (unsigned char)left[i] - (unsigned char)right[j];
        } else {
            i++;
            j++;
        }
    }
    return (na - i) - (nb - j);
}

// Hooks.
static int authorize(void *argument, int action, const char *detail1, const char *detail2,
                     const char *database, const char *trigger)
{
    (void)argument, (void)database, (void)trigger;
    if (action == SQLITE_DROP_TABLE) {
        printf("  (asked about dropping %s)\n", detail1);
        return SQLITE_DENY;
    }
    // Columns that may not be read are NULL.
    if (action == SQLITE_READ && detail2 != NULL && strcmp(detail2, "salary") == 0)
        return SQLITE_IGNORE;
    return SQLITE_OK;
}

static int trace(unsigned event, void *argument, sqlite3_traced *stmt, const char *sql)
{
    (void)event, (void)stmt;
    ++*(int *)argument;
    printf("  (runs: %s)\n", sql);
    return 0;
}

static void updated(void *argument, int operation, const char *database, const char *table, sqlite3_int64 row)
{
    (void)argument;
    const char *what = operation == SQLITE_INSERT ? "insert" : operation == SQLITE_DELETE ? "delete" : "update";
    printf("  (%s row %lld of %s.%s)\n", what, row, database, table);
}

static int refuse(void *argument)
{
    return *(bool *)argument;
}

// Called every 1000 steps of SQLite's machine: the tenth time is enough.
static int impatient(void *argument)
{
    return ++*(int *)argument >= 10;
}

static void functions(void)
{
    static const char mark = '.';
    must("create initials", sqlite3_create_function_v2(db, "initials", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                                       (void *)&mark, initials, NULL, NULL, 0));
    must("create reversed",
         sqlite3_create_function_v2(db, "reversed", 1, SQLITE_UTF8, NULL, reversed, NULL, NULL, 0));
    must("create variance", sqlite3_create_function_v2(db, "variance", 1, SQLITE_UTF8, NULL, NULL, variance_step,
                                                       variance_final, 0));
    must("create counting", sqlite3_create_collation_v2(db, "counting", SQLITE_UTF8, NULL, counting, 0));

    query("SELECT name, initials(name) AS short FROM people ORDER BY id", true);
    query("SELECT initials(NULL), hex(reversed(x'010203')), typeof(reversed(x''))", false);
    query("SELECT reversed('text')", false);
    query("SELECT team, count(*), variance(height) FROM people GROUP BY team ORDER BY team", false);
    query("SELECT variance(height) FROM people WHERE id > 100", false);
    query("SELECT mission FROM people ORDER BY mission COLLATE counting", false);
    must("delete initials",
         sqlite3_create_function_v2(db, "initials", 1, SQLITE_UTF8, NULL, NULL, NULL, NULL, 0));
    query("SELECT initials('Ada Lovelace')", false);
}

static void hooks(void)
{
    must("authorizer", sqlite3_set_authorizer(db, authorize, NULL));
    query("SELECT name, salary FROM people WHERE id = 1", true);
    query("DROP TABLE people", false);
    must("no authorizer", sqlite3_set_authorizer(db, NULL, NULL));

    int traced = 0;
    must("trace", sqlite3_trace_v2(db, SQLITE_TRACE_STMT, trace, &traced));
    query("SELECT 1; SELECT 2", false);
    must("no trace", sqlite3_trace_v2(db, 0, NULL, NULL));
    query("SELECT 3", false);
    printf("%d statements traced\n", traced);

    bool no = false;
    sqlite3_update_hook(db, updated, NULL);
    void *before = sqlite3_commit_hook(db, refuse, &no);
    query("UPDATE people SET salary = 1 WHERE id IN (1, 2); DELETE FROM people WHERE id = 3", false);
    sqlite3_update_hook(db, NULL, NULL);
    no = true;
    query("DELETE FROM people", false);
    void *after = sqlite3_commit_hook(db, NULL, NULL);
    query("SELECT count(*) FROM people", false);
    printf("arguments of the hooks before: %s, %s\n", before == NULL ? "none" : "some", after == &no ? "ours" : "another");

    int times = 0;
    sqlite3_progress_handler(db, 1000, impatient, &times);
    query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c", false);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    printf("asked %d times\n", times);
}

int main(void)
{
    must("open", sqlite3_open(":memory:", &db));
    query("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, team TEXT, mission TEXT, height REAL, salary INT)",
          false);
    query("INSERT INTO people(name, team, mission, height, salary) VALUES"
          " ('Ada Lovelace', 'red', 'Apollo 11', 1.5, 100), ('Grace Brewster Hopper', 'red', 'Apollo 9', 2.5, 200),"
          " ('Mary Jackson', 'blue', 'Apollo 100', 2, 300), ('Annie Easley', 'blue', 'Apollo 8', NULL, 400)", false);
    functions();
    hooks();
    must("close", sqlite3_close(db));
    return EXIT_SUCCESS;
}
