/* sqlite3.h: SQLite.
 *
 * Grants: connections, statements, binding, results, incremental blobs; SQL functions, collations and
 * hooks that the guest writes. Every connection, statement and blob is a handle; what the guest
 * forgets is closed when its store goes, statements and blobs before their connection.
 *
 * Powers of the library's own. SQL is a language of its own, and no prototype confines it:
 *  - Files: sqlite3_open, ATTACH and VACUUM INTO read and write any file that the host process may,
 *    whatever --dir says.
 *  - Code, closed by the guard: where FTS3 is compiled in (Debian, most distributions), the SQL function
 *    fts3_tokenizer turns a blob into a code pointer and a code pointer into a blob. The pragma below
 *    names a guard of the host: from the first link on, every new connection of the process lacks
 *    that function and is "defensive". Full-text search works as before.
 *  - Native stack: expressions and foreign keys that cascade recurse; through thousands of tables
 *    without limit, which ends the process. The guard keeps LIKE and GLOB patterns to 1,000 bytes
 *    and triggers to a depth of 100 (sqlite3_limit can be read here, not set). Give the thread 8 MiB.
 *  - Shared state of the process: databases on the memdb VFS are seen by other guests that know their
 *    name; PRAGMA hard_heap_limit, soft_heap_limit and temp_store_directory act on the whole process.
 *  - Time: a query takes as long as it takes, sqlite3_busy_timeout waits; fuel and epochs do not
 *    interrupt native code (a progress handler of the guest's own does).
 * The library must be built for threads (sqlite3_threadsafe() is not 0; every distribution's is), and
 * connections must not share a cache: see sqlite3_open.
 *
 * Callbacks. SQLite trusts them not to change the connection that runs them: a trigger that an authorizer
 * drops is used after it was freed. Hence __exclusive: while a call works on a connection, or on a statement
 * or blob of it, callbacks can use no handle of that connection. What they are given is theirs until
 * they return, and other connections can be used freely. A row callback of sqlite3_exec cannot query
 * the same connection either, although SQLite lets it: step through a statement instead.
 * A callback that traps denies (authorizer), stops (progress, exec), rolls back (commit) or gives NULL
 * (function); the statement ends before the trap is raised, so that what it had changed may stay.
 * The closures of all callbacks live as long as their connection.
 *
 * Narrower than SQLite itself:
 *  - A destructor is SQLITE_TRANSIENT, so SQLite copies what it is given; SQLITE_STATIC would leave pointers
 *    into the guest's memory behind. Functions and collations have no destructor (pass 0): what they carry is
 *    an integer of the guest.
 *  - sqlite3_aggregate_context takes 64 bytes, always: SQLite gives what the first call asked for, and
 *    does not say how much that was. The guest gets a copy, copied back when its callback returns.
 *  - Functions and collations are for UTF-8; the texts of UTF-16 databases are converted for them.
 *  - sqlite3_trace_v2 tells of statements (SQLITE_TRACE_STMT): what its last argument is depends on the
 *    event. No function takes the statement that it names, which is running.
 *  - sqlite3_free gives back strings that SQLite returned. They are copies in the guest's memory:
 *    the import is the guest's own free.
 *  - sqlite3_stmt_status indexes an array with its argument: only the counters that every version has.
 *
 * Strings: what sqlite3_column_text and _blob return lasts until the statement is stepped, reset
 * or finalized. Other strings (sqlite3_errmsg, sqlite3_column_name, sqlite3_sql) outlive a step; the
 * guest keeps one copy for each address, rewritten when the text there changes, as C has it.
 *
 * Left out:
 *  - sqlite3_create_window_function, sqlite3_set_auxdata (SQLite would keep and free the guest's pointers),
 *    sqlite3_value_dup, sqlite3_result_pointer and sqlite3_bind_pointer, sqlite3_context_db_handle (a callback
 *    could do nothing with it), virtual tables (tables of functions).
 *  - sqlite3_wal_hook and sqlite3_unlock_notify, which hand out connections and arrays of cookies.
 *  - Variadic functions (sqlite3_config, sqlite3_db_config, sqlite3_mprintf), sqlite3_get_table (exec
 *    with a callback does the same).
 *  - sqlite3_close_v2: with statements alive it leaves a connection behind that nobody can close.
 *    sqlite3_close says SQLITE_BUSY instead.
 *  - sqlite3_backup_*: nobody may use the destination from init to finish, which no annotation can say (a
 *    capture keeps it alive, not idle). VACUUM INTO does the same.
 *  - sqlite3_next_stmt: it also finds the statements inside open blobs, and stepping those is a use
 *    after free. sqlite3_strglob and sqlite3_strlike recurse as deep as the pattern is long.
 *  - sqlite3_deserialize (SQLite would keep the guest's buffer), extensions, VFSs, sqlite3_file_control,
 *    sqlite3_test_control, mutexes, and what acts on the whole process (sqlite3_shutdown, heap limits,
 *    sqlite3_status).
 *  - UTF-16, functions of optional features, and helpers that a guest has itself (sqlite3_stricmp,
 *    sqlite3_sleep, sqlite3_randomness).
 */
#ifndef PORTCULLIS_SQLITE3_H
#define PORTCULLIS_SQLITE3_H

#include <stdint.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libsqlite3.so.0" module "sqlite3" guard "sqlite3"
#endif
PORTCULLIS_MODULE("sqlite3")

typedef struct sqlite3 sqlite3 __drop(sqlite3_close) __exclusive;
typedef struct sqlite3_stmt sqlite3_stmt __drop(sqlite3_finalize) __exclusive;
typedef struct sqlite3_blob sqlite3_blob __drop(sqlite3_blob_close) __exclusive;
typedef struct sqlite3_context sqlite3_context; /* lives while one callback runs */
typedef struct sqlite3_value sqlite3_value;     /* likewise */
typedef long long int sqlite_int64;
typedef unsigned long long int sqlite_uint64;
typedef sqlite_int64 sqlite3_int64;
typedef sqlite_uint64 sqlite3_uint64;

/* Results */
#define SQLITE_OK 0
#define SQLITE_ERROR 1
#define SQLITE_INTERNAL 2
#define SQLITE_PERM 3
#define SQLITE_ABORT 4
#define SQLITE_BUSY 5
#define SQLITE_LOCKED 6
#define SQLITE_NOMEM 7
#define SQLITE_READONLY 8
#define SQLITE_INTERRUPT 9
#define SQLITE_IOERR 10
#define SQLITE_CORRUPT 11
#define SQLITE_NOTFOUND 12
#define SQLITE_FULL 13
#define SQLITE_CANTOPEN 14
#define SQLITE_PROTOCOL 15
#define SQLITE_EMPTY 16
#define SQLITE_SCHEMA 17
#define SQLITE_TOOBIG 18
#define SQLITE_CONSTRAINT 19
#define SQLITE_MISMATCH 20
#define SQLITE_MISUSE 21
#define SQLITE_NOLFS 22
#define SQLITE_AUTH 23
#define SQLITE_FORMAT 24
#define SQLITE_RANGE 25
#define SQLITE_NOTADB 26
#define SQLITE_NOTICE 27
#define SQLITE_WARNING 28
#define SQLITE_ROW 100
#define SQLITE_DONE 101

/* Types of a column */
#define SQLITE_INTEGER 1
#define SQLITE_FLOAT 2
#define SQLITE_TEXT 3
#define SQLITE3_TEXT 3
#define SQLITE_BLOB 4
#define SQLITE_NULL 5

#define SQLITE_UTF8 1
#define SQLITE_TRANSIENT (-1)

/* The library */
const char *sqlite3_libversion(void) __leaf;
const char *sqlite3_sourceid(void) __leaf;
int sqlite3_libversion_number(void) __leaf;
int sqlite3_threadsafe(void) __leaf;
int sqlite3_compileoption_used(const char *option) __leaf;
const char *_Nullable sqlite3_compileoption_get(int n) __leaf;
int sqlite3_complete(const char *sql) __leaf;
void sqlite3_free(void *_Nullable string) __leaf;

/* Connections. Even a failed open gives a handle, for sqlite3_errmsg; close it too. No URIs, and no
 * SQLITE_OPEN_SHAREDCACHE: connections that share a cache share a schema, and a callback of the one could drop
 * a table of the other. The guard switches URIs off for sqlite3_open and ATTACH too. */
#define SQLITE_OPEN_READONLY 0x00000001
#define SQLITE_OPEN_READWRITE 0x00000002
#define SQLITE_OPEN_CREATE 0x00000004
#define SQLITE_OPEN_MEMORY 0x00000080
#define SQLITE_OPEN_NOMUTEX 0x00008000
#define SQLITE_OPEN_FULLMUTEX 0x00010000
#define SQLITE_OPEN_PRIVATECACHE 0x00040000
#define SQLITE_OPEN_NOFOLLOW 0x01000000
#define SQLITE_OPEN_EXRESCODE 0x02000000
int sqlite3_open(const char *filename, sqlite3 **_Out_ ppDb) __leaf;
int sqlite3_open_v2(const char *filename, sqlite3 **_Out_ ppDb, int flags,
                    const char *_Nullable zVfs) __requires((flags & 0x20040) == 0) __leaf;
int sqlite3_close(sqlite3 *_Nullable __consumes_if(return == 0) db);

/* The callback gets each row as text, NULL for NULL. (With PRAGMA empty_result_callbacks it is called once
 * for a result without rows, with no values at all.) If it does not return 0, the statement ends. */
int sqlite3_exec(sqlite3 *db, const char *sql,
                 int (*_Nullable __on_trap(1) callback)(
                     void *__cookie arg, int n,
                     char *_Nullable __null_terminated *_In_ __counted_by_or_null(n) values,
                     char *__null_terminated *_In_ __counted_by(n) names),
                 void *__closure(callback) arg,
                 char *__null_terminated __freed_by(sqlite3_free) *_Nullable _Out_ errmsg);

const char *sqlite3_errmsg(sqlite3 *_Nullable db) __leaf;
int sqlite3_errcode(sqlite3 *_Nullable db) __leaf;
int sqlite3_extended_errcode(sqlite3 *_Nullable db) __leaf;
int sqlite3_extended_result_codes(sqlite3 *db, int onoff) __leaf;
int sqlite3_system_errno(sqlite3 *db) __leaf;
int sqlite3_error_offset(sqlite3 *db) __leaf;
const char *sqlite3_errstr(int code) __leaf;

sqlite3_int64 sqlite3_last_insert_rowid(sqlite3 *db) __leaf;
void sqlite3_set_last_insert_rowid(sqlite3 *db, sqlite3_int64 rowid) __leaf;
int sqlite3_changes(sqlite3 *db) __leaf;
sqlite3_int64 sqlite3_changes64(sqlite3 *db) __leaf;
int sqlite3_total_changes(sqlite3 *db) __leaf;
sqlite3_int64 sqlite3_total_changes64(sqlite3 *db) __leaf;
int sqlite3_get_autocommit(sqlite3 *db) __leaf;
int sqlite3_busy_timeout(sqlite3 *db, int ms) __leaf;
void sqlite3_interrupt(sqlite3 *db) __leaf;
int sqlite3_db_readonly(sqlite3 *db, const char *zDbName) __leaf;
int sqlite3_db_cacheflush(sqlite3 *db);
int sqlite3_db_release_memory(sqlite3 *db);

#define SQLITE_TXN_NONE 0
#define SQLITE_TXN_READ 1
#define SQLITE_TXN_WRITE 2
int sqlite3_txn_state(sqlite3 *db, const char *_Nullable zSchema) __leaf;

#define SQLITE_LIMIT_LENGTH 0
#define SQLITE_LIMIT_SQL_LENGTH 1
#define SQLITE_LIMIT_COLUMN 2
#define SQLITE_LIMIT_EXPR_DEPTH 3
#define SQLITE_LIMIT_COMPOUND_SELECT 4
#define SQLITE_LIMIT_VDBE_OP 5
#define SQLITE_LIMIT_FUNCTION_ARG 6
#define SQLITE_LIMIT_ATTACHED 7
#define SQLITE_LIMIT_LIKE_PATTERN_LENGTH 8
#define SQLITE_LIMIT_VARIABLE_NUMBER 9
#define SQLITE_LIMIT_TRIGGER_DEPTH 10
#define SQLITE_LIMIT_WORKER_THREADS 11
int sqlite3_limit(sqlite3 *db, int id, int newVal __range(-1)) __leaf;

#define SQLITE_DBSTATUS_CACHE_USED 1
#define SQLITE_DBSTATUS_SCHEMA_USED 2
#define SQLITE_DBSTATUS_STMT_USED 3
#define SQLITE_DBSTATUS_CACHE_HIT 7
#define SQLITE_DBSTATUS_CACHE_MISS 8
#define SQLITE_DBSTATUS_CACHE_WRITE 9
#define SQLITE_DBSTATUS_DEFERRED_FKS 10
#define SQLITE_DBSTATUS_CACHE_USED_SHARED 11
#define SQLITE_DBSTATUS_CACHE_SPILL 12
int sqlite3_db_status(sqlite3 *db, int op, int *_Out_ pCur, int *_Out_ pHiwtr, int resetFlg) __leaf;

#define SQLITE_CHECKPOINT_PASSIVE 0
#define SQLITE_CHECKPOINT_FULL 1
#define SQLITE_CHECKPOINT_RESTART 2
#define SQLITE_CHECKPOINT_TRUNCATE 3
int sqlite3_wal_autocheckpoint(sqlite3 *db, int n);
int sqlite3_wal_checkpoint(sqlite3 *db, const char *_Nullable zDb);
int sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *_Nullable zDb, int eMode,
                              int *_Nullable _Out_ pnLog, int *_Nullable _Out_ pnCkpt);

int sqlite3_table_column_metadata(sqlite3 *db, const char *_Nullable zDbName, const char *zTableName,
                                  const char *_Nullable zColumnName,
                                  const char *__lifetimebound(static) *_Nullable _Out_ pzDataType,
                                  const char *__lifetimebound(static) *_Nullable _Out_ pzCollSeq,
                                  int *_Nullable _Out_ pNotNull, int *_Nullable _Out_ pPrimaryKey,
                                  int *_Nullable _Out_ pAutoinc);

/* The database as bytes: free them with sqlite3_free. An empty one is NULL. */
unsigned char *_Nullable __counted_by(*piSize) __freed_by(sqlite3_free)
    sqlite3_serialize(sqlite3 *db, const char *zSchema, sqlite3_int64 *_Out_ piSize,
                      unsigned int mFlags __range(0));

/* Statements. nByte is -1 for SQL that ends with NUL, or its size: two grants of each function. */
#define SQLITE_PREPARE_PERSISTENT 0x01
#define SQLITE_PREPARE_NORMALIZE 0x02
#define SQLITE_PREPARE_NO_VTAB 0x04
int sqlite3_prepare_v2(sqlite3 *db, const char *zSql, int nByte __range(-1),
                       sqlite3_stmt *__lifetimebound(db) *_Out_ ppStmt,
                       const char **_Nullable _Out_ pzTail);
int sqlite3_prepare_v2(sqlite3 *db, const char *__counted_by(nByte) zSql,
                       int nByte __range(0, 0x7fffffff),
                       sqlite3_stmt *__lifetimebound(db) *_Out_ ppStmt,
                       const char **_Nullable _Out_ pzTail);
int sqlite3_prepare_v3(sqlite3 *db, const char *zSql, int nByte __range(-1), unsigned int prepFlags,
                       sqlite3_stmt *__lifetimebound(db) *_Out_ ppStmt,
                       const char **_Nullable _Out_ pzTail);
int sqlite3_prepare_v3(sqlite3 *db, const char *__counted_by(nByte) zSql,
                       int nByte __range(0, 0x7fffffff), unsigned int prepFlags,
                       sqlite3_stmt *__lifetimebound(db) *_Out_ ppStmt,
                       const char **_Nullable _Out_ pzTail);
int sqlite3_step(sqlite3_stmt *__invalidates stmt);
int sqlite3_reset(sqlite3_stmt *_Nullable __invalidates stmt);
int sqlite3_finalize(sqlite3_stmt *_Nullable __consumes stmt);

sqlite3 *__borrowed sqlite3_db_handle(sqlite3_stmt *stmt) __leaf;
const char *_Nullable sqlite3_sql(sqlite3_stmt *stmt) __leaf;
char *_Nullable __null_terminated __freed_by(sqlite3_free) sqlite3_expanded_sql(sqlite3_stmt *stmt) __leaf;
int sqlite3_stmt_readonly(sqlite3_stmt *stmt) __leaf;
int sqlite3_stmt_isexplain(sqlite3_stmt *stmt) __leaf;
int sqlite3_stmt_busy(sqlite3_stmt *stmt) __leaf;

#define SQLITE_STMTSTATUS_FULLSCAN_STEP 1
#define SQLITE_STMTSTATUS_SORT 2
#define SQLITE_STMTSTATUS_AUTOINDEX 3
#define SQLITE_STMTSTATUS_VM_STEP 4
#define SQLITE_STMTSTATUS_REPREPARE 5
#define SQLITE_STMTSTATUS_RUN 6
#define SQLITE_STMTSTATUS_MEMUSED 99
int sqlite3_stmt_status(sqlite3_stmt *stmt, int op __range(1, 6) __range(99), int resetFlg) __leaf;

/* Parameters, counted from 1. Text comes in two grants, as the SQL does: n is -1 or its size. */
int sqlite3_bind_parameter_count(sqlite3_stmt *stmt) __leaf;
const char *_Nullable sqlite3_bind_parameter_name(sqlite3_stmt *stmt, int i) __leaf;
int sqlite3_bind_parameter_index(sqlite3_stmt *stmt, const char *name) __leaf;
int sqlite3_clear_bindings(sqlite3_stmt *stmt) __leaf;
int sqlite3_bind_null(sqlite3_stmt *stmt, int i) __leaf;
int sqlite3_bind_int(sqlite3_stmt *stmt, int i, int value) __leaf;
int sqlite3_bind_int64(sqlite3_stmt *stmt, int i, sqlite3_int64 value) __leaf;
int sqlite3_bind_double(sqlite3_stmt *stmt, int i, double value) __leaf;
int sqlite3_bind_text(sqlite3_stmt *stmt, int i, const char *_Nullable text, int n __range(-1),
                      intptr_t destructor __range(-1)) __leaf;
int sqlite3_bind_text(sqlite3_stmt *stmt, int i, const char *__counted_by_or_null(n) text,
                      int n __range(0, 0x7fffffff), intptr_t destructor __range(-1)) __leaf;
int sqlite3_bind_text64(sqlite3_stmt *stmt, int i, const char *__counted_by_or_null(n) text,
                        sqlite3_uint64 n, intptr_t destructor __range(-1),
                        unsigned char encoding __range(1)) __leaf;
int sqlite3_bind_blob(sqlite3_stmt *stmt, int i, const void *__sized_by(n) data, int n,
                      intptr_t destructor __range(-1)) __leaf;
int sqlite3_bind_blob64(sqlite3_stmt *stmt, int i, const void *__sized_by(n) data, sqlite3_uint64 n,
                        intptr_t destructor __range(-1)) __leaf;
int sqlite3_bind_zeroblob(sqlite3_stmt *stmt, int i, int n) __leaf;
int sqlite3_bind_zeroblob64(sqlite3_stmt *stmt, int i, sqlite3_uint64 n) __leaf;

/* Columns of the current row, counted from 0. column_bytes converts the value to UTF-8 if need be
 * and changes nothing else, hence "pure": it measures what the two functions after it return. */
int sqlite3_column_count(sqlite3_stmt *stmt) __leaf;
int sqlite3_data_count(sqlite3_stmt *stmt) __leaf;
const char *_Nullable sqlite3_column_name(sqlite3_stmt *stmt, int i) __leaf;
const char *_Nullable sqlite3_column_decltype(sqlite3_stmt *stmt, int i) __leaf;
int sqlite3_column_type(sqlite3_stmt *stmt, int i) __leaf;
int sqlite3_column_bytes(sqlite3_stmt *stmt, int i) __attribute__((pure)) __leaf;
/* NUL follows the text: it is copied too, so that text with a NUL inside arrives whole. */
const unsigned char *_Nullable __sized_by(sqlite3_column_bytes(stmt, i) + 1) __lifetimebound(stmt)
    sqlite3_column_text(sqlite3_stmt *stmt, int i) __leaf;
const void *_Nullable __sized_by(sqlite3_column_bytes(stmt, i)) __lifetimebound(stmt)
    sqlite3_column_blob(sqlite3_stmt *stmt, int i) __leaf;
int sqlite3_column_int(sqlite3_stmt *stmt, int i) __leaf;
sqlite3_int64 sqlite3_column_int64(sqlite3_stmt *stmt, int i) __leaf;
double sqlite3_column_double(sqlite3_stmt *stmt, int i) __leaf;

/* SQL functions. pApp comes back from sqlite3_user_data. A function has xFunc, an aggregate xStep and
 * xFinal; with none of them it is deleted. Bits of eTextRep beside SQLITE_UTF8: */
#define SQLITE_DETERMINISTIC 0x000000800
#define SQLITE_DIRECTONLY 0x000080000
#define SQLITE_INNOCUOUS 0x000200000
int sqlite3_create_function_v2(
    sqlite3 *db, const char *zFunctionName, int nArg, int eTextRep, void *__cookie pApp,
    void (*_Nullable __captured_by(db) xFunc)(sqlite3_context *ctx, int argc,
                                              sqlite3_value **_In_ __counted_by(argc) argv),
    void (*_Nullable __captured_by(db) xStep)(sqlite3_context *ctx, int argc,
                                              sqlite3_value **_In_ __counted_by(argc) argv),
    void (*_Nullable __captured_by(db) xFinal)(sqlite3_context *ctx), intptr_t xDestroy __range(0))
    __requires((eTextRep & ~0x280800) == SQLITE_UTF8);
void *__cookie sqlite3_user_data(sqlite3_context *ctx) __leaf;

/* The memory of an aggregate: zero at first, one for each group. */
#define SQLITE_AGGREGATE_BYTES 64
void *_Nullable _Inout_ __sized_by(SQLITE_AGGREGATE_BYTES) __lifetimebound(ctx)
    sqlite3_aggregate_context(sqlite3_context *ctx, int nBytes __range(SQLITE_AGGREGATE_BYTES)) __leaf;

/* Arguments. sqlite3_value_bytes measures text and blob, as sqlite3_column_bytes does. */
int sqlite3_value_type(sqlite3_value *value) __leaf;
int sqlite3_value_numeric_type(sqlite3_value *value) __leaf;
int sqlite3_value_bytes(sqlite3_value *value) __attribute__((pure)) __leaf;
const unsigned char *_Nullable __sized_by(sqlite3_value_bytes(value) + 1) __lifetimebound(value)
    sqlite3_value_text(sqlite3_value *value) __leaf;
const void *_Nullable __sized_by(sqlite3_value_bytes(value)) __lifetimebound(value)
    sqlite3_value_blob(sqlite3_value *value) __leaf;
int sqlite3_value_int(sqlite3_value *value) __leaf;
sqlite3_int64 sqlite3_value_int64(sqlite3_value *value) __leaf;
double sqlite3_value_double(sqlite3_value *value) __leaf;
int sqlite3_value_nochange(sqlite3_value *value) __leaf;
int sqlite3_value_frombind(sqlite3_value *value) __leaf;

/* Results. Text and messages come in two grants, as the SQL does: n is -1 or their size. */
void sqlite3_result_null(sqlite3_context *ctx) __leaf;
void sqlite3_result_int(sqlite3_context *ctx, int value) __leaf;
void sqlite3_result_int64(sqlite3_context *ctx, sqlite3_int64 value) __leaf;
void sqlite3_result_double(sqlite3_context *ctx, double value) __leaf;
void sqlite3_result_text(sqlite3_context *ctx, const char *_Nullable text, int n __range(-1),
                         intptr_t destructor __range(-1)) __leaf;
void sqlite3_result_text(sqlite3_context *ctx, const char *__counted_by_or_null(n) text,
                         int n __range(0, 0x7fffffff), intptr_t destructor __range(-1)) __leaf;
void sqlite3_result_blob(sqlite3_context *ctx, const void *__sized_by(n) data, int n,
                         intptr_t destructor __range(-1)) __leaf;
void sqlite3_result_zeroblob(sqlite3_context *ctx, int n __range(0, 0x7fffffff)) __leaf;
void sqlite3_result_value(sqlite3_context *ctx, sqlite3_value *value) __leaf;
void sqlite3_result_error(sqlite3_context *ctx, const char *message, int n __range(-1)) __leaf;
void sqlite3_result_error(sqlite3_context *ctx, const char *__counted_by(n) message,
                          int n __range(0, 0x7fffffff)) __leaf;
void sqlite3_result_error_code(sqlite3_context *ctx, int code) __leaf;
void sqlite3_result_error_toobig(sqlite3_context *ctx) __leaf;
void sqlite3_result_error_nomem(sqlite3_context *ctx) __leaf;

/* Collations. The two texts do not end with NUL. One that contradicts itself spoils indexes, no memory. */
int sqlite3_create_collation_v2(sqlite3 *db, const char *zName, int eTextRep __range(SQLITE_UTF8),
                                void *__closure(xCompare) arg,
                                int (*_Nullable __captured_by(db) xCompare)(
                                    void *__cookie arg, int na, const void *__sized_by(na) a, int nb,
                                    const void *__sized_by(nb) b),
                                intptr_t xDestroy __range(0));

/* Hooks: one of each kind a connection; 0 takes it away. Some return the argument of the one before. */
#define SQLITE_DENY 1
#define SQLITE_IGNORE 2
int sqlite3_set_authorizer(sqlite3 *db,
                           int (*_Nullable __captured_by(db) __on_trap(SQLITE_DENY) xAuth)(
                               void *__cookie arg, int action, const char *_Nullable detail1,
                               const char *_Nullable detail2, const char *_Nullable database,
                               const char *_Nullable trigger),
                           void *__closure(xAuth) arg);
void sqlite3_progress_handler(sqlite3 *db, int nOps,
                              int (*_Nullable __captured_by(db) __on_trap(1) xProgress)(void *__cookie arg),
                              void *__closure(xProgress) arg);
int sqlite3_busy_handler(sqlite3 *db,
                         int (*_Nullable __captured_by(db) xBusy)(void *__cookie arg, int times),
                         void *__closure(xBusy) arg);
void *__cookie sqlite3_commit_hook(sqlite3 *db,
                                   int (*_Nullable __captured_by(db) __on_trap(1) xCommit)(void *__cookie arg),
                                   void *__closure(xCommit) arg);
void *__cookie sqlite3_rollback_hook(sqlite3 *db,
                                     void (*_Nullable __captured_by(db) xRollback)(void *__cookie arg),
                                     void *__closure(xRollback) arg);
/* operation is SQLITE_INSERT, SQLITE_DELETE or SQLITE_UPDATE. */
void *__cookie sqlite3_update_hook(sqlite3 *db,
                                   void (*_Nullable __captured_by(db) xUpdate)(
                                       void *__cookie arg, int operation, const char *database,
                                       const char *table, sqlite3_int64 rowid),
                                   void *__closure(xUpdate) arg);
#define SQLITE_TRACE_STMT 0x01
typedef struct sqlite3_traced sqlite3_traced; /* a statement that is running */
int sqlite3_trace_v2(sqlite3 *db, unsigned int mask __range(0, SQLITE_TRACE_STMT),
                     int (*_Nullable __captured_by(db) xTrace)(unsigned int event, void *__cookie arg,
                                                               sqlite3_traced *stmt,
                                                               const char *_Nullable sql),
                     void *__closure(xTrace) arg);

/* What an authorizer is asked, and what update hooks tell */
#define SQLITE_COPY 0
#define SQLITE_CREATE_INDEX 1
#define SQLITE_CREATE_TABLE 2
#define SQLITE_CREATE_TEMP_INDEX 3
#define SQLITE_CREATE_TEMP_TABLE 4
#define SQLITE_CREATE_TEMP_TRIGGER 5
#define SQLITE_CREATE_TEMP_VIEW 6
#define SQLITE_CREATE_TRIGGER 7
#define SQLITE_CREATE_VIEW 8
#define SQLITE_DELETE 9
#define SQLITE_DROP_INDEX 10
#define SQLITE_DROP_TABLE 11
#define SQLITE_DROP_TEMP_INDEX 12
#define SQLITE_DROP_TEMP_TABLE 13
#define SQLITE_DROP_TEMP_TRIGGER 14
#define SQLITE_DROP_TEMP_VIEW 15
#define SQLITE_DROP_TRIGGER 16
#define SQLITE_DROP_VIEW 17
#define SQLITE_INSERT 18
#define SQLITE_PRAGMA 19
#define SQLITE_READ 20
#define SQLITE_SELECT 21
#define SQLITE_TRANSACTION 22
#define SQLITE_UPDATE 23
#define SQLITE_ATTACH 24
#define SQLITE_DETACH 25
#define SQLITE_ALTER_TABLE 26
#define SQLITE_REINDEX 27
#define SQLITE_ANALYZE 28
#define SQLITE_CREATE_VTABLE 29
#define SQLITE_DROP_VTABLE 30
#define SQLITE_FUNCTION 31
#define SQLITE_SAVEPOINT 32
#define SQLITE_RECURSIVE 33

/* Incremental blobs */
int sqlite3_blob_open(sqlite3 *db, const char *zDb, const char *zTable, const char *zColumn,
                      sqlite3_int64 rowid, int flags,
                      sqlite3_blob *__lifetimebound(db) *_Out_ ppBlob);
int sqlite3_blob_reopen(sqlite3_blob *blob, sqlite3_int64 rowid);
int sqlite3_blob_close(sqlite3_blob *_Nullable __consumes blob);
int sqlite3_blob_bytes(sqlite3_blob *blob) __leaf;
int sqlite3_blob_read(sqlite3_blob *blob, void *_Out_ __sized_by(n) data, int n, int offset);
int sqlite3_blob_write(sqlite3_blob *blob, const void *__sized_by(n) data, int n, int offset);

PORTCULLIS_END

#endif /* PORTCULLIS_SQLITE3_H */
