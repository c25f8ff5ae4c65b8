#include "common/base/utf8.h"

static size_t sequence(struct slice text, uint32_t *code_point);

uint32_t utf8_next(struct slice *rest)
{
    uint32_t code_point;
    size_t size = sequence(*rest, &code_point);
    if (size == 0) {
        size = 1;
        code_point = UTF8_REPLACEMENT;
    }
    *rest = slice_from(*rest, size);
    return code_point;
}

size_t utf8_put(uint32_t code_point, uint8_t to[UTF8_SIZE_MAX])
{
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
        code_point = UTF8_REPLACEMENT;
    }
    if (code_point < 0x80) {
        to[0] = (uint8_t)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        to[0] = (uint8_t)(0xC0 | code_point >> 6);
        to[1] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        to[0] = (uint8_t)(0xE0 | code_point >> 12);
        to[1] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (code_point & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | code_point >> 18);
    to[1] = (uint8_t)(0x80 | (code_point >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (code_point >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (code_point & 0x3F));
    return 4;
}

bool utf8_valid(struct slice text)
{
    while (text.size > 0) {
        uint32_t code_point;
        size_t size = text.data[0] < 0x80 ? 1 : sequence(text, &code_point);
        if (size == 0) {
            return false;
        }
        text = slice_from(text, size);
    }
    return true;
}

/* Size of the well-formed sequence at the front; 0 if there is none. */
static size_t sequence(struct slice text, uint32_t *code_point)
{
    uint8_t first = text.data[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || size > text.size) {
        return 0;
    }
    uint32_t value = first & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text.data[i] & 0xC0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text.data[i] & 0x3F);
    }
    bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
    if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
        return 0;
    }
    *code_point = value;
    return size;
}
