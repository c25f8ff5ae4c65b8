/* Base64 with the alphabet that is safe in URLs (RFC 4648, section 5), padded with '='. Pure. */
#ifndef COMMON_BASE_BASE64URL_H
#define COMMON_BASE_BASE64URL_H

#include "common/base/buf.h"

/* Append bytes as text. */
void base64url_append(struct buf *out, struct slice bytes);

/* Append what the text says; padding may be missing. False if it is anything else: then out has
 * what it had. */
bool base64url_decode(struct slice text, struct buf *out);

#endif
