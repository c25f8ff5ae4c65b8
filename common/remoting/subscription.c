#include "common/remoting/subscription.h"

static struct slice trim(struct slice text)
{
    while (text.size > 0 && text.data[0] <= ' ') {
        text = slice_from(text, 1);
    }
    while (text.size > 0 && text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    return text;
}

bool subscription_is_all(struct slice expression)
{
    expression = trim(expression);
    return expression.size == 0 || slice_equals_text(expression, "*");
}

bool subscription_next_tag(struct slice *rest, struct slice *tag)
{
    while (rest->size > 0) {
        size_t end = 0;
        while (end < rest->size &&
               !(rest->data[end] == '|' && end + 1 < rest->size && rest->data[end + 1] == '|')) {
            end++;
        }
        *tag = trim(slice_of(rest->data, end));
        *rest = slice_from(*rest, end == rest->size ? end : end + 2);
        if (tag->size > 0) {
            return true;
        }
    }
    return false;
}

bool subscription_matches(struct slice expression, struct slice tags)
{
    struct slice tag;
    if (subscription_is_all(expression)) {
        return true;
    }
    while (subscription_next_tag(&expression, &tag)) {
        if (slice_equals(tag, tags)) {
            return true;
        }
    }
    return false;
}
