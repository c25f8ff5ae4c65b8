/* A bank whose transfers travel as transactions: the payer's side debits, the payee's credits, and
 * the sum must come out right whatever happens in between. */
#ifndef TESTS_SIM_CLUSTER_SIM_BANK_H
#define TESTS_SIM_CLUSTER_SIM_BANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bank_state {
    BANK_NEW,     /* Not debited yet; it may still be. */
    BANK_DONE,    /* Debited: its message must arrive. */
    BANK_ABORTED, /* Never will be. */
};

void bank_open(void);
void bank_close(void);

/* A new transfer. */
uint64_t bank_begin(void);
/* Debit it, unless it was aborted or the account is empty; what it is now. */
enum bank_state bank_execute(uint64_t id);
/* Rule it out, unless it is done; what it is now. */
enum bank_state bank_abort(uint64_t id);
enum bank_state bank_state(uint64_t id);
/* Its message arrived, perhaps again. A violation unless it was debited. */
void bank_arrived(uint64_t id, const char *who);

uint64_t bank_count(void);
bool bank_has_arrived(uint64_t id);
/* With `missing` debited transfers excused, is all the money there? A violation if not. */
void bank_audit(int64_t excused);
int64_t bank_amount(uint64_t id);

#endif
