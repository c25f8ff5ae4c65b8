/* raftmq dlq: the commands, and which letters they are about. */
#include "admin/admin_dlq.h"

#include "common/base/clock.h"
#include "common/remoting/properties.h"

#include <string.h>

enum { LETTERS_MAX = 1000000, ARGUMENTS_MAX = 1000 };

static const struct dlq_show_options show_defaults = {.max = 100};
static const struct dlq_replay_options replay_defaults = {.max = LETTERS_MAX};

static const struct cli_flag list_flags[] = {
    {'b', "broker", CLI_TEXT, "GROUP", "only of this broker group",
     offsetof(struct dlq_list_options, broker), 0, 0},
    {0},
};

static const struct cli_flag show_flags[] = {
    {'b', "broker", CLI_TEXT, "GROUP", "only those of this broker group",
     offsetof(struct dlq_show_options, selection.broker), 0, 0},
    {'T', "topic", CLI_TEXT, "TOPIC", "only those first sent to this topic",
     offsetof(struct dlq_show_options, selection.topic), 0, 0},
    {'k', "key", CLI_TEXT, "KEY", "only those with this key",
     offsetof(struct dlq_show_options, selection.key), 0, 0},
    {'i', "message-id", CLI_TEXT, "ID", "only those with this id of their producer",
     offsetof(struct dlq_show_options, selection.message_id), 0, 0},
    {'s', "since", CLI_NUMBER, "SECONDS", "only those that died in the last so many seconds",
     offsetof(struct dlq_show_options, selection.since_s), 1, INT32_MAX},
    {'a', "all", CLI_SWITCH, NULL, "also those that are settled",
     offsetof(struct dlq_show_options, all), 0, 0},
    {'m', "max", CLI_NUMBER, "COUNT", "at most so many (100)",
     offsetof(struct dlq_show_options, max), 1, LETTERS_MAX},
    {0},
};

static const struct cli_flag replay_flags[] = {
    {'b', "broker", CLI_TEXT, "GROUP", "only those of this broker group",
     offsetof(struct dlq_replay_options, selection.broker), 0, 0},
    {'T', "topic", CLI_TEXT, "TOPIC", "only those first sent to this topic",
     offsetof(struct dlq_replay_options, selection.topic), 0, 0},
    {'k', "key", CLI_TEXT, "KEY", "only those with this key",
     offsetof(struct dlq_replay_options, selection.key), 0, 0},
    {'i', "message-id", CLI_TEXT, "ID", "only those with this id of their producer",
     offsetof(struct dlq_replay_options, selection.message_id), 0, 0},
    {'s', "since", CLI_NUMBER, "SECONDS", "only those that died in the last so many seconds",
     offsetof(struct dlq_replay_options, selection.since_s), 1, INT32_MAX},
    {'a', "all", CLI_SWITCH, NULL, "all letters of the group",
     offsetof(struct dlq_replay_options, all), 0, 0},
    {'m', "max", CLI_NUMBER, "COUNT", "at most so many", offsetof(struct dlq_replay_options, max),
     1, LETTERS_MAX},
    {0},
};

static const struct cli_flag purge_flags[] = {
    {'b', "broker", CLI_TEXT, "GROUP", "only those of this broker group",
     offsetof(struct dlq_purge_options, broker), 0, 0},
    {'O', "older-than", CLI_NUMBER, "SECONDS", "only those that died longer ago",
     offsetof(struct dlq_purge_options, older_s), 1, INT32_MAX},
    {'y', "yes", CLI_SWITCH, NULL, "do it; else it is only told what would go",
     offsetof(struct dlq_purge_options, yes), 0, 0},
    {0},
};

/* Is key one of the words? */
static bool has_word(struct slice words, const char *key)
{
    while (words.size > 0) {
        const uint8_t *end = memchr(words.data, ' ', words.size);
        size_t size = end == NULL ? words.size : (size_t)(end - words.data);
        if (slice_equals_text(slice_of(words.data, size), key)) {
            return true;
        }
        words = slice_from(words, end == NULL ? size : size + 1);
    }
    return false;
}

bool letter_selected(const struct letter_selection *selection, const struct message *letter)
{
    struct slice topic = letter->topic;
    struct slice keys = {0};
    struct slice id = {0};
    (void)properties_find(letter->properties, PROPERTY_RETRY_TOPIC, &topic);
    (void)properties_find(letter->properties, PROPERTY_KEYS, &keys);
    (void)properties_find(letter->properties, PROPERTY_UNIQUE_KEY, &id);
    int64_t now_ms = (int64_t)clock_wall_ms(clock_system());
    return (selection->topic == NULL || slice_equals_text(topic, selection->topic)) &&
           (selection->key == NULL || has_word(keys, selection->key)) &&
           (selection->message_id == NULL || slice_equals_text(id, selection->message_id)) &&
           (selection->since_s == 0 || letter->store_time_ms >= now_ms - selection->since_s * 1000);
}

struct letter_queue *letter_queue_named(const struct letter_queues *queues, const char *id,
                                        int64_t *offset)
{
    struct slice broker;
    int32_t number;
    if (!letter_id_parse(id, &broker, &number, offset)) {
        return NULL;
    }
    for (size_t i = 0; i < queues->count; i++) {
        if (queues->queues[i].id == number &&
            slice_equals(queues->queues[i].broker->name, broker)) {
            return &queues->queues[i];
        }
    }
    return NULL;
}

const struct cli_command dlq_commands[] = {
    {
        .noun = "dlq",
        .verb = "list",
        .arguments = "",
        .summary = "List consumer groups with dead letters that are not settled",
        .notes =
            "Of a queue with more than 1000 letters, those that were replayed out of turn are\n"
            "counted, too (EXACT: no).\n",
        .flags = list_flags,
        .options_size = sizeof(struct dlq_list_options),
        .run = run_dlq_list,
    },
    {
        .noun = "dlq",
        .verb = "show",
        .arguments = "GROUP [LETTER]",
        .summary = "Show the dead letters of a consumer group, or one with all it has",
        .flags = show_flags,
        .defaults = &show_defaults,
        .options_size = sizeof show_defaults,
        .arguments_min = 1,
        .arguments_max = 2,
        .run = run_dlq_show,
    },
    {
        .noun = "dlq",
        .verb = "replay",
        .arguments = "GROUP [LETTER...]",
        .summary = "Give dead letters to their consumer group again",
        .notes =
            "A letter is copied to the group's retry topic, so that this group alone gets it, at\n"
            "once and with all its retries before it. The copy names the letter, and a letter "
            "with\n"
            "a copy is not replayed again. Killed at any moment, or without an answer: run it\n"
            "again. No letter is lost by that; one comes twice only if the broker stored a copy\n"
            "after the second run had looked for it.\n\n"
            "An orderly group (queue locks) must not be running, nor have been for a minute: the\n"
            "broker takes what is sent for it as given up. The first letter to which that happens\n"
            "ends the replay; it is a dead letter under a new name then.\n",
        .flags = replay_flags,
        .defaults = &replay_defaults,
        .options_size = sizeof replay_defaults,
        .arguments_min = 1,
        .arguments_max = ARGUMENTS_MAX,
        .run = run_dlq_replay,
    },
    {
        .noun = "dlq",
        .verb = "purge",
        .arguments = "GROUP",
        .summary = "Settle dead letters of a consumer group without replaying them",
        .notes = "All up to now, or the older ones of them. They are not shown or replayed any\n"
                 "more; their bytes go with retention, as all messages do.\n",
        .flags = purge_flags,
        .options_size = sizeof(struct dlq_purge_options),
        .arguments_min = 1,
        .arguments_max = 1,
        .run = run_dlq_purge,
    },
    {.noun = NULL},
};
