/* A bounded name stored inline: topic, group, client id, address. Always NUL-terminated. */
#ifndef COMMON_BASE_NAME_H
#define COMMON_BASE_NAME_H

#include "common/base/slice.h"

enum { NAME_MAX_SIZE = 255 };

struct name {
    uint8_t size;
    char text[NAME_MAX_SIZE + 1];
};

/* Copies text; false (name unchanged) if it is longer than NAME_MAX_SIZE or contains a NUL. */
static inline bool name_set(struct name *name, struct slice text)
{
    if (text.size > NAME_MAX_SIZE || (text.size > 0 && memchr(text.data, 0, text.size) != NULL)) {
        return false;
    }
    if (text.size > 0) {
        memcpy(name->text, text.data, text.size);
    }
    name->text[text.size] = '\0';
    name->size = (uint8_t)text.size;
    return true;
}

/* Borrows the name. */
static inline struct slice name_slice(const struct name *name)
{
    return slice_of(name->text, name->size);
}

#endif
