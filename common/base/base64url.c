#include "common/base/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_append(struct buf *out, struct slice bytes)
{
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t group = (uint32_t)bytes.data[at] << 16 |
                         (left > 1 ? (uint32_t)bytes.data[at + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes.data[at + 2] : 0);
        buf_put_u8(out, (uint8_t)alphabet[group >> 18]);
        buf_put_u8(out, (uint8_t)alphabet[group >> 12 & 63]);
        buf_put_u8(out, left > 1 ? (uint8_t)alphabet[group >> 6 & 63] : '=');
        buf_put_u8(out, left > 2 ? (uint8_t)alphabet[group & 63] : '=');
    }
}

/* False if it is no character of the alphabet. */
static bool value_of(uint8_t character, uint32_t *value)
{
    const char *place = character == 0 ? NULL : strchr(alphabet, character);
    *value = place == NULL ? 0 : (uint32_t)(place - alphabet);
    return place != NULL;
}

bool base64url_decode(struct slice text, struct buf *out)
{
    size_t begin = out->size;
    bool whole = text.size % 4 == 0;
    for (int padding = 0; whole && padding < 2 && text.size > 0; padding++) {
        text.size -= text.data[text.size - 1] == '=';
    }
    uint32_t bits = 0;
    uint32_t count = 0; /* Of the bits that are not written yet. */
    for (size_t at = 0; at < text.size; at++) {
        uint32_t value;
        if (!value_of(text.data[at], &value)) {
            out->size = begin;
            return false;
        }
        bits = bits << 6 | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_put_u8(out, (uint8_t)(bits >> count));
        }
    }
    // A single character is no byte, and what is left of the last one must be zeros.
    if (count >= 6 || (bits & ((1U << count) - 1)) != 0) {
        out->size = begin;
        return false;
    }
    return true;
}
