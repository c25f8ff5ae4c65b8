#include "tests/sim/cluster/sim_bank.h"

#include "common/base/buf.h"
#include "tests/sim/os/sim_memory.h"
#include "tests/sim/os/sim_world.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ACCOUNTS = 16, OPENING_BALANCE = 1000, AMOUNT_MAX = 100 };

struct transfer {
    uint8_t from;
    uint8_t to;
    uint16_t amount;
    uint8_t state;
    bool arrived;
};

static struct {
    int64_t balances[ACCOUNTS];
    struct transfer *transfers;
    uint64_t count;
    uint64_t capacity;
} bank;

void bank_open(void)
{
    memset(&bank, 0, sizeof bank);
    for (int i = 0; i < ACCOUNTS; i++) {
        bank.balances[i] = OPENING_BALANCE;
    }
}

void bank_close(void)
{
    free(bank.transfers);
    bank.transfers = NULL;
}

static struct transfer *find(uint64_t id)
{
    ASSERT(id < bank.count);
    return &bank.transfers[id];
}

uint64_t bank_begin(void)
{
    if (bank.count == bank.capacity) {
        struct sim_owner *owner = sim_memory_use(NULL);
        bank.capacity = bank.capacity == 0 ? 256 : bank.capacity * 2;
        bank.transfers = mem_realloc(bank.transfers, bank.capacity * sizeof *bank.transfers);
        sim_memory_use(owner);
    }
    bank.transfers[bank.count] = (struct transfer){
        .from = (uint8_t)sim_draw(SIM_LOAD, ACCOUNTS),
        .to = (uint8_t)sim_draw(SIM_LOAD, ACCOUNTS),
        .amount = (uint16_t)(1 + sim_draw(SIM_LOAD, AMOUNT_MAX)),
    };
    return bank.count++;
}

enum bank_state bank_execute(uint64_t id)
{
    struct transfer *transfer = find(id);
    if (transfer->state == BANK_NEW && bank.balances[transfer->from] >= transfer->amount) {
        bank.balances[transfer->from] -= transfer->amount;
        transfer->state = BANK_DONE;
    }
    return bank_abort(id);
}

enum bank_state bank_abort(uint64_t id)
{
    struct transfer *transfer = find(id);
    if (transfer->state == BANK_NEW) {
        transfer->state = BANK_ABORTED;
    }
    return (enum bank_state)transfer->state;
}

enum bank_state bank_state(uint64_t id)
{
    return (enum bank_state)find(id)->state;
}

void bank_arrived(uint64_t id, const char *who)
{
    if (id >= bank.count || find(id)->state != BANK_DONE) {
        sim_violation("bank", "%s was given transfer %" PRIu64 ", which was never debited", who,
                      id);
    }
    struct transfer *transfer = find(id);
    if (!transfer->arrived) {
        transfer->arrived = true;
        bank.balances[transfer->to] += transfer->amount;
    }
}

uint64_t bank_count(void)
{
    return bank.count;
}

bool bank_has_arrived(uint64_t id)
{
    return find(id)->arrived;
}

int64_t bank_amount(uint64_t id)
{
    return find(id)->amount;
}

void bank_audit(int64_t excused)
{
    int64_t sum = excused;
    for (int i = 0; i < ACCOUNTS; i++) {
        sum += bank.balances[i];
    }
    if (sum != (int64_t)ACCOUNTS * OPENING_BALANCE) {
        sim_violation("bank", "the accounts hold %" PRId64 " with what is excused, not %d", sum,
                      ACCOUNTS * OPENING_BALANCE);
    }
}
