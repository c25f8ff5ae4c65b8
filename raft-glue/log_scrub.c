#include "raft-glue/log_scrub.h"

#include <inttypes.h>

enum { PIECE_SIZE = 1024 * 1024, RETRY_MS = 10000 };

void log_scrub_init(struct log_scrub *scrub, struct segment_log *log, const struct log *logger,
                    uint64_t rate)
{
    *scrub = (struct log_scrub){.log = log, .logger = logger, .rate = rate};
}

/* Also what lies in the newest segment is durable, and does not change unless it is truncated. */
static bool begin_asked(struct log_scrub *scrub, struct log_load *load)
{
    uint64_t index = scrub->asked;
    if (index == 0) {
        return false;
    }
    scrub->asking = index <= segment_log_durable_index(scrub->log) &&
                    segment_log_load_begin(scrub->log, index, index, PIECE_SIZE, load) == STATUS_OK;
    scrub->asked = scrub->asking ? index : 0;
    return scrub->asking;
}

static bool is_known(const struct log_scrub *scrub, uint64_t index)
{
    for (size_t i = 0; i < scrub->damage_count && i < SCRUB_DAMAGES_MAX; i++) {
        if (scrub->damages[i].index == index) {
            return true;
        }
    }
    return false;
}

static void report(struct log_scrub *scrub, uint64_t index, enum status status)
{
    struct log_entry entry;
    if (is_known(scrub, index) || !segment_log_entry(scrub->log, index, &entry)) {
        return;
    }
    if (scrub->damage_count < SCRUB_DAMAGES_MAX) {
        scrub->damages[scrub->damage_count] = (struct scrub_damage){index, entry.position};
        log_error(scrub->logger, "the log is damaged on disk",
                  "index=%" PRIu64 " position=%" PRIu64 " why=%s; other replicas have this entry; "
                  "check the disk",
                  index, entry.position, status_name(status));
    }
    scrub->damage_count++;
}

/* The segment of the next piece: it is gone, or the system does not open it now. */
static void cannot_open(struct log_scrub *scrub, uint64_t now_ms, enum status status)
{
    scrub->due_ms = now_ms + RETRY_MS;
    if (status == STATUS_NOT_FOUND) {
        report(scrub, scrub->next_index++, status);
    } else {
        log_warn(scrub->logger, "a segment cannot be opened to be verified, trying again",
                 "index=%" PRIu64 ": %s", scrub->next_index, status_text(status));
    }
}

bool log_scrub_begin(struct log_scrub *scrub, uint64_t now_ms, struct log_load *load)
{
    if (scrub->rate == 0 || scrub->under_way) {
        return false;
    }
    if (begin_asked(scrub, load)) {
        scrub->under_way = true;
        return true;
    }
    if (now_ms < scrub->due_ms) {
        return false;
    }
    uint64_t first = segment_log_first_index(scrub->log);
    uint64_t last = segment_log_complete_index(scrub->log);
    if (scrub->next_index < first) {
        scrub->next_index = first;
    }
    if (scrub->next_index > last) {
        if (scrub->next_index > first) {
            scrub->passes++;
            scrub->next_index = 0;
            scrub->due_ms = now_ms + SCRUB_PASS_PERIOD_MS;
        }
        return false;
    }
    enum status status =
        segment_log_load_begin(scrub->log, scrub->next_index, last, PIECE_SIZE, load);
    scrub->under_way = status == STATUS_OK;
    if (status != STATUS_OK) {
        cannot_open(scrub, now_ms, status);
    }
    return scrub->under_way;
}

void log_scrub_look_at(struct log_scrub *scrub, uint64_t position)
{
    uint64_t index = segment_log_index_at(scrub->log, position);
    if (index != 0 && index != scrub->asked && !is_known(scrub, index)) {
        scrub->asked = index;
        scrub->asked_twice = false;
    }
}

static void end_asked(struct log_scrub *scrub, const struct log_load *load)
{
    bool bad = load->status != STATUS_OK;
    scrub->asking = false;
    if (scrub->asked != load->first_index) {
        return; // Another one has been complained of meanwhile.
    }
    if (bad && !scrub->asked_twice) {
        scrub->asked_twice = true;
        return;
    }
    scrub->asked = 0;
    if (bad) {
        report(scrub, load->first_index, load->status);
    }
}

void log_scrub_end(struct log_scrub *scrub, uint64_t now_ms, struct log_load *load)
{
    uint64_t bad = load->first_index + load->verified;
    scrub->under_way = false;
    if (scrub->asking) {
        end_asked(scrub, load);
        segment_log_load_end(scrub->log, load);
        return;
    }
    scrub->due_ms = now_ms + (load->size * 1000 + scrub->rate - 1) / scrub->rate;
    scrub->next_index = load->first_index + load->count;
    scrub->bytes += load->size;
    // What was truncated while it was read looks damaged, too; then it is not there the next time.
    if (load->status != STATUS_OK && scrub->suspect != bad) {
        scrub->suspect = bad;
        scrub->next_index = bad;
    } else if (load->status != STATUS_OK) {
        report(scrub, bad, load->status);
        scrub->next_index = bad + 1;
    }
    segment_log_load_end(scrub->log, load);
}
