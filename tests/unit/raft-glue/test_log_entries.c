/* Where entries are, against a plain array: whatever is appended, cut at either end and packed. */
#include "raft-glue/log_entries.h"
#include "tests/support/test.h"

#include "common/base/random.h"
#include "raft-glue/log_frame.h"
#include "raft-glue/log_pack.h"

#include <stdlib.h>

enum { ENTRIES_MAX = 6000, GAP_MAX = 1 << 20 };

struct model {
    struct log_entries entries;
    struct random random;
    struct log_entry *expected; /* By index. */
    uint64_t first;
    uint64_t next;
    uint64_t end;
    uint64_t term;
    uint64_t packed; /* Below it whole chunks are. */
};

static uint32_t payload_size(struct random *random)
{
    static const uint32_t sizes[] = {0, 1, 8, 15, 16, 200, 2047, 2048, 262143, 262144, 4194304};
    return random_below(random, 2) == 0 ? sizes[random_below(random, 11)]
                                        : (uint32_t)random_below(random, 1000);
}

static void append(struct model *model)
{
    struct random *random = &model->random;
    uint64_t gap = random_below(random, 50) == 0 ? 8 * (1 + random_below(random, GAP_MAX)) : 0;
    model->term += random_below(random, 100) == 0;
    struct log_entry entry = {
        .position = model->end + gap,
        .term = model->term,
        .payload_size = payload_size(random),
        .header_crc = 1 + (uint32_t)random_below(random, UINT32_MAX),
        .type = (uint8_t)(1 + random_below(random, 3)),
    };
    log_entries_append(&model->entries, &entry);
    model->expected[model->next++] = entry;
    model->end = entry.position + log_frame_size(entry.payload_size);
}

static void begin(struct model *model, uint64_t seed)
{
    *model = (struct model){.random = {seed}, .term = 1};
    model->expected = calloc(ENTRIES_MAX, sizeof *model->expected);
    model->first = model->next = 1 + random_below(&model->random, 1500);
    model->end = 64 + 8 * random_below(&model->random, 1000);
    log_entries_init(&model->entries, model->first);
}

static void end(struct model *model)
{
    log_entries_close(&model->entries);
    free(model->expected);
}

static void assert_entry(struct model *model, uint64_t index)
{
    struct log_entry entry;
    bool there = index >= model->first && index < model->next;
    assert_int_equal(log_entries_get(&model->entries, index, &entry), there);
    if (there) {
        const struct log_entry *expected = &model->expected[index];
        bool packed = index / LOG_CHUNK_ENTRIES < model->packed / LOG_CHUNK_ENTRIES;
        assert_true(entry.position == expected->position && entry.term == expected->term &&
                    entry.payload_size == expected->payload_size && entry.type == expected->type);
        assert_int_equal(entry.header_crc, packed ? 0 : expected->header_crc);
    }
}

/* An entry is found from where its frame begins up to where the next one does. */
static void assert_found(struct model *model, uint64_t index)
{
    const struct log_entry *entry = &model->expected[index];
    uint64_t until = index + 1 < model->next ? model->expected[index + 1].position : model->end;
    assert_int_equal(log_entries_find(&model->entries, entry->position), index);
    assert_int_equal(log_entries_find(&model->entries, until - 1), index);
    assert_int_equal(log_entries_find(&model->entries, entry->position - 1),
                     index > model->first ? index - 1 : 0);
}

static void assert_all(struct model *model)
{
    assert_int_equal(model->entries.first_index, model->first);
    assert_int_equal(model->entries.next_index, model->next);
    assert_entry(model, model->first - 1);
    assert_entry(model, model->next);
    for (uint64_t i = model->first; i < model->next; i++) {
        assert_entry(model, i);
        assert_found(model, i);
    }
    if (model->first == model->next) {
        assert_int_equal(log_entries_find(&model->entries, UINT64_MAX), 0);
    }
}

static void truncate(struct model *model)
{
    uint64_t lowest = model->packed / LOG_CHUNK_ENTRIES * LOG_CHUNK_ENTRIES;
    lowest = lowest > model->first ? lowest : model->first;
    if (lowest >= model->next) {
        return;
    }
    uint64_t back = random_below(&model->random, 700);
    model->next = model->next - lowest > back ? model->next - back : lowest;
    model->end = model->next > model->first
                     ? model->expected[model->next - 1].position +
                           log_frame_size(model->expected[model->next - 1].payload_size)
                     : model->end;
    log_entries_truncate(&model->entries, model->next);
}

static void remove_prefix(struct model *model)
{
    uint64_t most = model->next - model->first;
    model->first += random_below(&model->random, most < 800 ? most + 1 : 800);
    log_entries_remove_prefix(&model->entries, model->first);
}

static void pack(struct model *model)
{
    uint64_t to = model->first + random_below(&model->random, model->next - model->first + 1);
    log_entries_pack(&model->entries, to, SIZE_MAX);
    model->packed = to > model->packed ? to : model->packed;
}

static void whatever_is_done_each_entry_is_where_it_was_put(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model model;
        begin(&model, seed);
        for (int step = 0; step < 40; step++) {
            uint64_t count = random_below(&model.random, 600);
            for (uint64_t i = 0; i < count && model.next < ENTRIES_MAX; i++) {
                append(&model);
            }
            switch (random_below(&model.random, 6)) {
            case 0:
                truncate(&model);
                break;
            case 1:
                remove_prefix(&model);
                break;
            case 2:
            case 3:
                pack(&model);
                break;
            default:
                break;
            }
            if (step % 4 == 0) {
                assert_all(&model);
            }
        }
        assert_all(&model);
        end(&model);
    }
}

static void packing_goes_by_whole_chunks_and_as_many_as_allowed(void **state)
{
    (void)state;
    struct model model;
    begin(&model, 1);
    while (model.next < 4 * LOG_CHUNK_ENTRIES) {
        append(&model);
    }
    log_entries_pack(&model.entries, 4 * LOG_CHUNK_ENTRIES - 1, 1);
    size_t first = (size_t)(model.first / LOG_CHUNK_ENTRIES);
    assert_int_equal(model.entries.packed_count, 1);
    log_entries_pack(&model.entries, 4 * LOG_CHUNK_ENTRIES - 1, SIZE_MAX);
    assert_int_equal(model.entries.packed_count, 3 - first);
    log_entries_pack(&model.entries, 4 * LOG_CHUNK_ENTRIES, SIZE_MAX);
    assert_int_equal(model.entries.packed_count, 4 - first);
    model.packed = 4 * LOG_CHUNK_ENTRIES;
    assert_all(&model);
    append(&model);
    assert_all(&model);
    end(&model);
}

/* What a damaged file says of where a log begins may be any number. */
static void a_log_that_begins_at_the_last_numbers_is_no_trouble(void **state)
{
    (void)state;
    struct log_entries entries;
    const uint64_t first = UINT64_MAX - 700;
    log_entries_init(&entries, first);
    for (uint64_t i = 0; i < 600; i++) {
        log_entries_append(&entries, &(struct log_entry){.position = 64 * i, .term = 1, .type = 1});
    }
    log_entries_pack(&entries, 0, SIZE_MAX);
    assert_int_equal(entries.packed_count, 0);
    for (uint64_t i = 0; i < 600; i++) {
        assert_int_equal(log_entries_find(&entries, 64 * i), first + i);
    }
    log_entries_pack(&entries, first + 600, SIZE_MAX);
    assert_int_equal(entries.packed_count, 1);
    for (uint64_t i = 0; i < 600; i++) {
        assert_int_equal(log_entries_find(&entries, 64 * i), first + i);
    }
    log_entries_close(&entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_done_each_entry_is_where_it_was_put),
        cmocka_unit_test(a_log_that_begins_at_the_last_numbers_is_no_trouble),
        cmocka_unit_test(packing_goes_by_whole_chunks_and_as_many_as_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
