#include "broker/core/message_filter.h"

#include <stdio.h>
#include <stdlib.h>

bool expression_is_tags(struct slice type)
{
    return type.size == 0 || slice_equals_text(type, "TAG");
}

static enum status fail(struct sql_trouble *trouble, enum status status, const char *why)
{
    snprintf(trouble->text, sizeof trouble->text, "%s", why);
    return status;
}

static enum status compile(struct message_filter *filter, struct slice type,
                           struct slice expression, struct sql_trouble *trouble)
{
    if (expression_is_tags(type)) {
        return tag_filter_parse(expression, &filter->tags) == STATUS_OK
                   ? STATUS_OK
                   : fail(trouble, STATUS_SUBSCRIPTION_MALFORMED,
                          "the expression names no tag, or too many");
    }
    if (!slice_equals_text(type, "SQL92")) {
        return fail(trouble, STATUS_SUBSCRIPTION_MALFORMED,
                    "the type of the expression is neither TAG nor SQL92");
    }
    if (filter->filters->sql_size > SQL_FILTERS_SIZE_MAX) {
        return fail(trouble, STATUS_OVERLOADED, "too many SQL92 expressions are in use here");
    }
    enum status status = sql_filter_compile(expression, &filter->sql, trouble);
    if (status == STATUS_OK) {
        filter->tags.all = true;
        filter->filters->sql_size += sql_filter_size(filter->sql);
    }
    return status;
}

enum status message_filter_new(struct message_filters *filters, struct slice type,
                               struct slice expression, struct message_filter **filter,
                               struct sql_trouble *trouble)
{
    struct message_filter *made = mem_zalloc(sizeof *made);
    made->filters = filters;
    made->holders = 1;
    enum status status = compile(made, type, expression, trouble);
    *filter = made;
    if (status != STATUS_OK) {
        message_filter_release(made);
        *filter = NULL;
    }
    return status;
}

struct message_filter *message_filter_hold(struct message_filter *filter)
{
    filter->holders++;
    return filter;
}

void message_filter_release(struct message_filter *filter)
{
    if (filter == NULL || --filter->holders > 0) {
        return;
    }
    if (filter->sql != NULL) {
        filter->filters->sql_size -= sql_filter_size(filter->sql);
    }
    tag_filter_close(&filter->tags);
    sql_filter_free(filter->sql);
    free(filter);
}
