#include "broker/core/rates.h"

#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

enum {
    SAMPLE_MS = 10 * 1000,
    SHORT_SAMPLES = 7, /* Every 10 s: a minute. */
    MIDDLE_STEP = 60,  /* Every 10 min: an hour. */
    MIDDLE_SAMPLES = 7,
    LONG_STEP = 360, /* Every hour: a day. */
    LONG_SAMPLES = 25,
};

struct sample {
    uint64_t sum;
    uint64_t times;
};

struct rate {
    struct map_node node;
    struct sample now;
    uint64_t since; /* Number of the sample before which it did not exist. */
    struct sample shorts[SHORT_SAMPLES];
    struct sample middles[MIDDLE_SAMPLES];
    struct sample longs[LONG_SAMPLES];
    uint16_t key_size;
    uint8_t key[]; /* Kind, key. */
};

void day_totals_tick(struct day_totals *totals, uint64_t wall_ms, uint64_t put, uint64_t got)
{
    const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;
    uint64_t day = wall_ms / day_ms;
    if (totals->day == day) {
        return;
    }
    bool first = totals->day == 0;
    *totals = (struct day_totals){
        .day = day,
        .put_today = put,
        .put_yesterday = first ? put : totals->put_today,
        .got_today = got,
        .got_yesterday = first ? got : totals->got_today,
    };
}

static void rate_free(struct rates *rates, struct rate *rate)
{
    map_remove(&rates->by_key, &rate->node);
    free(rate);
}

void rates_close(struct rates *rates)
{
    for (struct map_node *node; (node = map_first(&rates->by_key)) != NULL;) {
        rate_free(rates, CONTAINER_OF(node, struct rate, node));
    }
    map_close(&rates->by_key);
}

static struct slice full_key(enum rate_kind kind, struct slice key, uint8_t bytes[1 + RATE_KEY_MAX])
{
    bytes[0] = (uint8_t)kind;
    memcpy(bytes + 1, key.data, key.size);
    return slice_of(bytes, 1 + key.size);
}

static struct rate *find(const struct rates *rates, enum rate_kind kind, struct slice key)
{
    uint8_t bytes[1 + RATE_KEY_MAX];
    struct map_node *node =
        key.size > RATE_KEY_MAX ? NULL : map_find(&rates->by_key, full_key(kind, key, bytes));
    return node == NULL ? NULL : CONTAINER_OF(node, struct rate, node);
}

static struct rate *rate_new(struct rates *rates, enum rate_kind kind, struct slice key)
{
    if (key.size > RATE_KEY_MAX || rates->by_key.count >= RATES_MAX) {
        return NULL;
    }
    struct rate *rate = mem_zalloc(sizeof *rate + 1 + key.size);
    rate->since = rates->samples;
    rate->key_size = (uint16_t)(1 + key.size);
    map_put(&rates->by_key, &rate->node, full_key(kind, key, rate->key));
    return rate;
}

void rates_add(struct rates *rates, enum rate_kind kind, struct slice key, uint64_t amount)
{
    struct rate *rate = find(rates, kind, key);
    if (rate == NULL) {
        rate = rate_new(rates, kind, key);
    }
    if (rate != NULL) {
        rate->now.sum += amount;
        rate->now.times++;
    }
}

/* Samples lie in rings: number n of a ring with one every `step` is at (n / step) % size. */
static void take_sample(struct rate *rate, uint64_t number)
{
    rate->shorts[number % SHORT_SAMPLES] = rate->now;
    if (number % MIDDLE_STEP == 0) {
        rate->middles[number / MIDDLE_STEP % MIDDLE_SAMPLES] = rate->now;
    }
    if (number % LONG_STEP == 0) {
        rate->longs[number / LONG_STEP % LONG_SAMPLES] = rate->now;
    }
}

static bool stood_still(const struct rate *rate, uint64_t number)
{
    bool old = number - rate->since >= (uint64_t)LONG_STEP * (LONG_SAMPLES - 1);
    uint64_t first = number / LONG_STEP + 1; // The ring's oldest.
    return old && rate->longs[first % LONG_SAMPLES].times == rate->now.times;
}

void rates_tick(struct rates *rates, uint64_t now_ms)
{
    if (rates->sampled_ms == 0) {
        rates->sampled_ms = now_ms;
    }
    // After a pause of the process: what was missed counts for the first of the samples.
    while (now_ms - rates->sampled_ms >= SAMPLE_MS) {
        bool recent = now_ms - rates->sampled_ms < (uint64_t)SAMPLE_MS * LONG_STEP;
        rates->sampled_ms = recent ? rates->sampled_ms + SAMPLE_MS : now_ms;
        uint64_t number = ++rates->samples;
        MAP_FOREACH(node, &rates->by_key)
        {
            struct rate *rate = CONTAINER_OF(node, struct rate, node);
            if (number % LONG_STEP == 0 && stood_still(rate, number)) {
                rate_free(rates, rate);
            } else {
                take_sample(rate, number);
            }
        }
    }
}

/* From the newest sample of a ring back over so many steps, as far as there were any. */
static struct rate_sum sum_of(const struct rates *rates, const struct rate *rate,
                              const struct sample *ring, uint64_t size, uint64_t step,
                              uint64_t back)
{
    uint64_t newest = rates->samples / step;
    uint64_t oldest = newest > back ? newest - back : 0;
    struct sample to = rate->shorts[rates->samples % SHORT_SAMPLES];
    struct sample from = {0};
    uint64_t from_number = oldest * step;
    if (from_number > rate->since) {
        from = ring[oldest % size];
    } else {
        from_number = rate->since;
    }
    uint64_t seconds = (rates->samples - from_number) * SAMPLE_MS / 1000;
    struct rate_sum out = {.sum = to.sum - from.sum, .times = to.times - from.times};
    out.per_second = seconds == 0 ? 0 : (double)out.sum / (double)seconds;
    return out;
}

bool rates_find(const struct rates *rates, enum rate_kind kind, struct slice key,
                struct rate_view *view)
{
    *view = (struct rate_view){0};
    const struct rate *rate = find(rates, kind, key);
    if (rate == NULL) {
        return false;
    }
    if (rates->samples == rate->since) {
        return true; // No sample has been taken since.
    }
    view->ten_seconds = sum_of(rates, rate, rate->shorts, SHORT_SAMPLES, 1, 1);
    view->minute = sum_of(rates, rate, rate->shorts, SHORT_SAMPLES, 1, SHORT_SAMPLES - 1);
    view->ten_minutes = sum_of(rates, rate, rate->middles, MIDDLE_SAMPLES, MIDDLE_STEP, 1);
    view->hour =
        sum_of(rates, rate, rate->middles, MIDDLE_SAMPLES, MIDDLE_STEP, MIDDLE_SAMPLES - 1);
    view->day = sum_of(rates, rate, rate->longs, LONG_SAMPLES, LONG_STEP, LONG_SAMPLES - 1);
    return true;
}
