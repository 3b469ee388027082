/* sqlite3.h: SQLite, without callbacks.
 *
 * Grants: connections, statements, binding, results, incremental blobs. Every connection, statement
 * and blob is a handle; what the guest forgets is closed when its store goes, statements and blobs
 * before their connection.
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
 *  - Shared state of the process: databases opened with cache=shared or on the memdb VFS are seen by
 *    other guests that know their name; PRAGMA hard_heap_limit, soft_heap_limit and
 *    temp_store_directory act on the whole process.
 *  - Time: a query takes as long as it takes, sqlite3_busy_timeout waits; fuel and epochs do not
 *    interrupt native code.
 * The library must be built for threads (sqlite3_threadsafe() is not 0; every distribution's is).
 *
 * Narrower than SQLite itself:
 *  - sqlite3_exec has no callback: pass 0 and 0. A destructor is SQLITE_TRANSIENT, so SQLite copies what is
 *    bound; SQLITE_STATIC would leave pointers into the guest's memory behind.
 *  - sqlite3_free gives back strings that SQLite returned. They are copies in the guest's memory:
 *    the import is the guest's own free.
 *  - sqlite3_stmt_status indexes an array with its argument: only the counters that every version has.
 *
 * Strings: what sqlite3_column_text and _blob return lasts until the statement is stepped, reset
 * or finalized. Other strings (sqlite3_errmsg, sqlite3_column_name, sqlite3_sql) outlive a step; the
 * guest keeps one copy for each address, rewritten when the text there changes, as C has it.
 *
 * Left out:
 *  - Everything with a callback (functions, collations, hooks, authorizers, progress), variadic
 *    functions (sqlite3_config, sqlite3_mprintf), sqlite3_value and sqlite3_get_table: with the
 *    next version of Portcullis, as far as they are safe.
 *  - sqlite3_close_v2: with statements alive it leaves a connection behind that nobody can close.
 *    sqlite3_close says SQLITE_BUSY instead.
 *  - sqlite3_backup_*: closing the destination first is a use after free, which takes captures (the
 *    next version) to prevent. VACUUM INTO does the same.
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

typedef struct sqlite3 sqlite3 __drop(sqlite3_close);
typedef struct sqlite3_stmt sqlite3_stmt __drop(sqlite3_finalize);
typedef struct sqlite3_blob sqlite3_blob __drop(sqlite3_blob_close);
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
const char *sqlite3_libversion(void);
const char *sqlite3_sourceid(void);
int sqlite3_libversion_number(void);
int sqlite3_threadsafe(void);
int sqlite3_compileoption_used(const char *option);
const char *_Nullable sqlite3_compileoption_get(int n);
int sqlite3_complete(const char *sql);
void sqlite3_free(void *_Nullable string);

/* Connections. Even a failed open gives a handle, for sqlite3_errmsg; close it too. */
#define SQLITE_OPEN_READONLY 0x00000001
#define SQLITE_OPEN_READWRITE 0x00000002
#define SQLITE_OPEN_CREATE 0x00000004
#define SQLITE_OPEN_URI 0x00000040
#define SQLITE_OPEN_MEMORY 0x00000080
#define SQLITE_OPEN_NOMUTEX 0x00008000
#define SQLITE_OPEN_FULLMUTEX 0x00010000
#define SQLITE_OPEN_SHAREDCACHE 0x00020000
#define SQLITE_OPEN_PRIVATECACHE 0x00040000
#define SQLITE_OPEN_NOFOLLOW 0x01000000
#define SQLITE_OPEN_EXRESCODE 0x02000000
int sqlite3_open(const char *filename, sqlite3 **_Out_ ppDb);
int sqlite3_open_v2(const char *filename, sqlite3 **_Out_ ppDb, int flags,
                    const char *_Nullable zVfs);
int sqlite3_close(sqlite3 *_Nullable __consumes_if(return == 0) db);

int sqlite3_exec(sqlite3 *db, const char *sql, intptr_t callback __range(0), intptr_t arg __range(0),
                 char *__null_terminated __freed_by(sqlite3_free) *_Nullable _Out_ errmsg);

const char *sqlite3_errmsg(sqlite3 *_Nullable db);
int sqlite3_errcode(sqlite3 *_Nullable db);
int sqlite3_extended_errcode(sqlite3 *_Nullable db);
int sqlite3_extended_result_codes(sqlite3 *db, int onoff);
int sqlite3_system_errno(sqlite3 *db);
int sqlite3_error_offset(sqlite3 *db);
const char *sqlite3_errstr(int code);

sqlite3_int64 sqlite3_last_insert_rowid(sqlite3 *db);
void sqlite3_set_last_insert_rowid(sqlite3 *db, sqlite3_int64 rowid);
int sqlite3_changes(sqlite3 *db);
sqlite3_int64 sqlite3_changes64(sqlite3 *db);
int sqlite3_total_changes(sqlite3 *db);
sqlite3_int64 sqlite3_total_changes64(sqlite3 *db);
int sqlite3_get_autocommit(sqlite3 *db);
int sqlite3_busy_timeout(sqlite3 *db, int ms);
void sqlite3_interrupt(sqlite3 *db);
int sqlite3_db_readonly(sqlite3 *db, const char *zDbName);
int sqlite3_db_cacheflush(sqlite3 *db);
int sqlite3_db_release_memory(sqlite3 *db);

#define SQLITE_TXN_NONE 0
#define SQLITE_TXN_READ 1
#define SQLITE_TXN_WRITE 2
int sqlite3_txn_state(sqlite3 *db, const char *_Nullable zSchema);

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
int sqlite3_limit(sqlite3 *db, int id, int newVal __range(-1));

#define SQLITE_DBSTATUS_CACHE_USED 1
#define SQLITE_DBSTATUS_SCHEMA_USED 2
#define SQLITE_DBSTATUS_STMT_USED 3
#define SQLITE_DBSTATUS_CACHE_HIT 7
#define SQLITE_DBSTATUS_CACHE_MISS 8
#define SQLITE_DBSTATUS_CACHE_WRITE 9
#define SQLITE_DBSTATUS_DEFERRED_FKS 10
#define SQLITE_DBSTATUS_CACHE_USED_SHARED 11
#define SQLITE_DBSTATUS_CACHE_SPILL 12
int sqlite3_db_status(sqlite3 *db, int op, int *_Out_ pCur, int *_Out_ pHiwtr, int resetFlg);

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

sqlite3 *__borrowed sqlite3_db_handle(sqlite3_stmt *stmt);
const char *_Nullable sqlite3_sql(sqlite3_stmt *stmt);
char *_Nullable __null_terminated __freed_by(sqlite3_free) sqlite3_expanded_sql(sqlite3_stmt *stmt);
int sqlite3_stmt_readonly(sqlite3_stmt *stmt);
int sqlite3_stmt_isexplain(sqlite3_stmt *stmt);
int sqlite3_stmt_busy(sqlite3_stmt *stmt);

#define SQLITE_STMTSTATUS_FULLSCAN_STEP 1
#define SQLITE_STMTSTATUS_SORT 2
#define SQLITE_STMTSTATUS_AUTOINDEX 3
#define SQLITE_STMTSTATUS_VM_STEP 4
#define SQLITE_STMTSTATUS_REPREPARE 5
#define SQLITE_STMTSTATUS_RUN 6
#define SQLITE_STMTSTATUS_MEMUSED 99
int sqlite3_stmt_status(sqlite3_stmt *stmt, int op __range(1, 6) __range(99), int resetFlg);

/* Parameters, counted from 1. Text comes in two grants, as the SQL does: n is -1 or its size. */
int sqlite3_bind_parameter_count(sqlite3_stmt *stmt);
const char *_Nullable sqlite3_bind_parameter_name(sqlite3_stmt *stmt, int i);
int sqlite3_bind_parameter_index(sqlite3_stmt *stmt, const char *name);
int sqlite3_clear_bindings(sqlite3_stmt *stmt);
int sqlite3_bind_null(sqlite3_stmt *stmt, int i);
int sqlite3_bind_int(sqlite3_stmt *stmt, int i, int value);
int sqlite3_bind_int64(sqlite3_stmt *stmt, int i, sqlite3_int64 value);
int sqlite3_bind_double(sqlite3_stmt *stmt, int i, double value);
int sqlite3_bind_text(sqlite3_stmt *stmt, int i, const char *_Nullable text, int n __range(-1),
                      intptr_t destructor __range(-1));
int sqlite3_bind_text(sqlite3_stmt *stmt, int i, const char *__counted_by_or_null(n) text,
                      int n __range(0, 0x7fffffff), intptr_t destructor __range(-1));
int sqlite3_bind_text64(sqlite3_stmt *stmt, int i, const char *__counted_by_or_null(n) text,
                        sqlite3_uint64 n, intptr_t destructor __range(-1),
                        unsigned char encoding __range(1));
int sqlite3_bind_blob(sqlite3_stmt *stmt, int i, const void *__sized_by(n) data, int n,
                      intptr_t destructor __range(-1));
int sqlite3_bind_blob64(sqlite3_stmt *stmt, int i, const void *__sized_by(n) data, sqlite3_uint64 n,
                        intptr_t destructor __range(-1));
int sqlite3_bind_zeroblob(sqlite3_stmt *stmt, int i, int n);
int sqlite3_bind_zeroblob64(sqlite3_stmt *stmt, int i, sqlite3_uint64 n);

/* Columns of the current row, counted from 0. column_bytes converts the value to UTF-8 if need be
 * and changes nothing else, hence "pure": it measures what the two functions after it return. */
int sqlite3_column_count(sqlite3_stmt *stmt);
int sqlite3_data_count(sqlite3_stmt *stmt);
const char *_Nullable sqlite3_column_name(sqlite3_stmt *stmt, int i);
const char *_Nullable sqlite3_column_decltype(sqlite3_stmt *stmt, int i);
int sqlite3_column_type(sqlite3_stmt *stmt, int i);
int sqlite3_column_bytes(sqlite3_stmt *stmt, int i) __attribute__((pure));
/* NUL follows the text: it is copied too, so that text with a NUL inside arrives whole. */
const unsigned char *_Nullable __sized_by(sqlite3_column_bytes(stmt, i) + 1) __lifetimebound(stmt)
    sqlite3_column_text(sqlite3_stmt *stmt, int i);
const void *_Nullable __sized_by(sqlite3_column_bytes(stmt, i)) __lifetimebound(stmt)
    sqlite3_column_blob(sqlite3_stmt *stmt, int i);
int sqlite3_column_int(sqlite3_stmt *stmt, int i);
sqlite3_int64 sqlite3_column_int64(sqlite3_stmt *stmt, int i);
double sqlite3_column_double(sqlite3_stmt *stmt, int i);

/* Incremental blobs */
int sqlite3_blob_open(sqlite3 *db, const char *zDb, const char *zTable, const char *zColumn,
                      sqlite3_int64 rowid, int flags,
                      sqlite3_blob *__lifetimebound(db) *_Out_ ppBlob);
int sqlite3_blob_reopen(sqlite3_blob *blob, sqlite3_int64 rowid);
int sqlite3_blob_close(sqlite3_blob *_Nullable __consumes blob);
int sqlite3_blob_bytes(sqlite3_blob *blob);
int sqlite3_blob_read(sqlite3_blob *blob, void *_Out_ __sized_by(n) data, int n, int offset);
int sqlite3_blob_write(sqlite3_blob *blob, const void *__sized_by(n) data, int n, int offset);

PORTCULLIS_END

#endif /* PORTCULLIS_SQLITE3_H */
