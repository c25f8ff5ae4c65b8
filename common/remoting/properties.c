#include "common/remoting/properties.h"

bool properties_next(struct slice *rest, struct slice *name, struct slice *value)
{
    while (rest->size > 0) {
        const uint8_t *end = memchr(rest->data, PROPERTY_END, rest->size);
        size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
        struct slice piece = slice_of(rest->data, size);
        *rest = slice_from(*rest, end == NULL ? size : size + 1);
        const uint8_t *split = size == 0 ? NULL : memchr(piece.data, PROPERTY_NAME_END, size);
        if (split == NULL || split == piece.data || split == piece.data + size - 1) {
            continue; // No name or no value.
        }
        *name = slice_of(piece.data, (size_t)(split - piece.data));
        *value = slice_from(piece, name->size + 1);
        return true;
    }
    return false;
}

bool properties_find(struct slice properties, const char *name, struct slice *value)
{
    struct slice wanted = slice_text(name);
    struct slice piece_name;
    struct slice piece_value;
    bool found = false;
    while (properties_next(&properties, &piece_name, &piece_value)) {
        if (slice_equals(piece_name, wanted)) {
            *value = piece_value;
            found = true;
        }
    }
    return found;
}

void properties_append(struct buf *out, size_t start, const char *name, struct slice value)
{
    ASSERT(start <= out->size);
    if (out->size > start && out->data[out->size - 1] != PROPERTY_END) {
        buf_put_u8(out, PROPERTY_END);
    }
    buf_put_text(out, name);
    buf_put_u8(out, PROPERTY_NAME_END);
    buf_put_slice(out, value);
    buf_put_u8(out, PROPERTY_END);
}

static bool is_among(struct slice name, const char *const *names, size_t name_count)
{
    for (size_t i = 0; i < name_count; i++) {
        if (slice_equals_text(name, names[i])) {
            return true;
        }
    }
    return false;
}

void properties_copy_without(struct buf *out, struct slice properties, const char *const *names,
                             size_t name_count)
{
    struct slice piece_name;
    struct slice piece_value;
    while (properties_next(&properties, &piece_name, &piece_value)) {
        if (!is_among(piece_name, names, name_count)) {
            buf_put_slice(out, piece_name);
            buf_put_u8(out, PROPERTY_NAME_END);
            buf_put_slice(out, piece_value);
            buf_put_u8(out, PROPERTY_END);
        }
    }
}

bool properties_clean(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == PROPERTY_NAME_END || text.data[i] == PROPERTY_END) {
            return false;
        }
    }
    return true;
}
