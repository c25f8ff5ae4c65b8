/* VIEW_BROKER_STATS_DATA (315): how much of something went through in the last minute, hour, day.
 * Source: AdminBrokerProcessor.viewBrokerStatsData, BrokerStatsManager. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "common/remoting/json_text.h"

#include <string.h>

static const struct {
    const char *name;
    enum rate_kind kind;
} kinds[] = {
    {"TOPIC_PUT_NUMS", RATE_TOPIC_PUT_NUMS},   {"TOPIC_PUT_SIZE", RATE_TOPIC_PUT_SIZE},
    {"GROUP_GET_NUMS", RATE_GROUP_GET_NUMS},   {"GROUP_GET_SIZE", RATE_GROUP_GET_SIZE},
    {"BROKER_PUT_NUMS", RATE_BROKER_PUT_NUMS}, {"BROKER_GET_NUMS", RATE_BROKER_GET_NUMS},
};

static void put_sum(struct json_writer *json, const char *name, const struct rate_sum *sum)
{
    json_key(json, name);
    json_begin(json, '{');
    json_key(json, "avgpt");
    json_double(json, sum->times == 0 ? 0 : (double)sum->sum / (double)sum->times);
    json_member_int(json, "sum", (int64_t)sum->sum);
    json_key(json, "tps");
    json_double(json, sum->per_second);
    json_end(json, '}');
}

enum status process_view_rates(struct broker *broker, struct request *request)
{
    struct slice name;
    struct slice key;
    struct rate_view view;
    enum status status = command_text(request->command, "statsName", RATE_KEY_MAX, &name);
    if (status == STATUS_OK) {
        status = command_text(request->command, "statsKey", RATE_KEY_MAX, &key);
    }
    if (status != STATUS_OK) {
        return request_fail(request, status, "statsName and statsKey are required");
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (slice_equals_text(name, kinds[i].name) &&
            rates_find(&broker->rates, kinds[i].kind, key, &view)) {
            struct json_writer json = {.out = &request->body};
            json_begin(&json, '{');
            put_sum(&json, "statsDay", &view.day);
            put_sum(&json, "statsHour", &view.hour);
            put_sum(&json, "statsMinute", &view.minute);
            json_end(&json, '}');
            return STATUS_OK;
        }
    }
    return request_fail(request, STATUS_INTERNAL, "nothing was counted as %.*s of %.*s",
                        SLICE_ARGS(name), SLICE_ARGS(key));
}

void put_rates(struct broker *broker, struct json_writer *json)
{
    struct slice cluster = name_slice(&broker->settings->cluster);
    struct rate_view put;
    struct rate_view got;
    struct rate_view found;
    struct rate_view missed;
    (void)rates_find(&broker->rates, RATE_BROKER_PUT_NUMS, cluster, &put);
    (void)rates_find(&broker->rates, RATE_BROKER_GET_NUMS, cluster, &got);
    (void)rates_find(&broker->rates, RATE_PULLS_FOUND, cluster, &found);
    (void)rates_find(&broker->rates, RATE_PULLS_MISSED, cluster, &missed);
    const struct {
        const char *name;
        double windows[3];
    } rows[] = {
#define WINDOWS(of)                                                                                \
    {(of).ten_seconds.per_second, (of).minute.per_second, (of).ten_minutes.per_second}
        {"putTps", WINDOWS(put)},
        {"getTransferredTps", WINDOWS(got)},
        {"getTransferedTps", WINDOWS(got)}, // Before 5.0 it was spelled so.
        {"getFoundTps", WINDOWS(found)},
        {"getMissTps", WINDOWS(missed)},
#undef WINDOWS
        {"getTotalTps",
         {found.ten_seconds.per_second + missed.ten_seconds.per_second,
          found.minute.per_second + missed.minute.per_second,
          found.ten_minutes.per_second + missed.ten_minutes.per_second}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[96];
        snprintf(text, sizeof text, "%.1f %.1f %.1f", rows[i].windows[0], rows[i].windows[1],
                 rows[i].windows[2]);
        json_member_text(json, rows[i].name, slice_text(text));
    }
}
