#include "deploy/bank/database.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUSY_TIMEOUT_MS = 10000 };

static void fail(sqlite3 *database, const char *what)
{
    fprintf(stderr, "bank: database: %s: %s\n", what,
            database == NULL ? "out of memory" : sqlite3_errmsg(database));
    exit(EXIT_FAILURE);
}

sqlite3 *database_open(const char *path, const char *schema)
{
    sqlite3 *database = NULL;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path, &database, flags, NULL) != SQLITE_OK) {
        fail(database, path);
    }
    sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
    database_run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    database_run(database, schema);
    return database;
}

void database_run(sqlite3 *database, const char *statements)
{
    if (sqlite3_exec(database, statements, NULL, NULL, NULL) != SQLITE_OK) {
        fail(database, statements);
    }
}

sqlite3_stmt *database_prepare(sqlite3 *database, const char *statement)
{
    sqlite3_stmt *prepared = NULL;
    if (sqlite3_prepare_v2(database, statement, -1, &prepared, NULL) != SQLITE_OK) {
        fail(database, statement);
    }
    return prepared;
}

bool database_change(sqlite3 *database, sqlite3_stmt *statement)
{
    int status = sqlite3_step(statement);
    if (status == SQLITE_CONSTRAINT) {
        return false;
    }
    if (status != SQLITE_DONE && status != SQLITE_ROW) {
        fail(database, sqlite3_sql(statement));
    }
    return true;
}

int64_t database_number(sqlite3 *database, const char *query, int64_t otherwise)
{
    sqlite3_stmt *statement = database_prepare(database, query);
    int status = sqlite3_step(statement);
    if (status != SQLITE_ROW && status != SQLITE_DONE) {
        fail(database, query);
    }
    int64_t value = otherwise;
    if (status == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}
