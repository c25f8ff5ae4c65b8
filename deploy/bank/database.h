/* The few SQLite calls that both services of the demo need. A database that fails is the end of the
 * demo: these print why and exit. Any thread; SQLite serialises. */
#ifndef DEPLOY_BANK_DATABASE_H
#define DEPLOY_BANK_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* Open (or create) and run the statements of `schema`. */
sqlite3 *database_open(const char *path, const char *schema);

/* Run statements without results. */
void database_run(sqlite3 *database, const char *statements);

/* Prepare; to be finalised by the caller. */
sqlite3_stmt *database_prepare(sqlite3 *database, const char *statement);

/* Step a statement that changes data: false if a constraint forbids it, nothing changed. */
bool database_change(sqlite3 *database, sqlite3_stmt *statement);

/* The first column of the first row; `otherwise` if there is no row or it is null. */
int64_t database_number(sqlite3 *database, const char *query, int64_t otherwise);

#endif
