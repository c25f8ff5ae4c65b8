#include "admin/time_text.h"

#include "common/base/check.h"
#include "common/base/decimal.h"

/* Exactly `count` digits at the start of *text, which goes past them. */
static bool digits(const char **text, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return false;
        }
        *value = *value * 10 + (**text - '0');
    }
    return true;
}

static bool is(const char **text, char c)
{
    if (**text != c) {
        return false;
    }
    (*text)++;
    return true;
}

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since the epoch; years from 1970 on. */
static int64_t days_of(int year, int month, int day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t days = day - 1 + before[month - 1] + (month > 2 && leap(year));
    for (int y = 1970; y < year; y++) {
        days += leap(y) ? 366 : 365;
    }
    return days;
}

bool time_parse(const char *text, int64_t *ms)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int milli = 0;
    int64_t number;
    ASSERT(text != NULL);
    if (decimal_parse(slice_text(text), &number)) {
        *ms = number;
        return number >= 0;
    }
    bool read = digits(&text, 4, &year) && is(&text, '-') && digits(&text, 2, &month) &&
                is(&text, '-') && digits(&text, 2, &day) && is(&text, 'T') &&
                digits(&text, 2, &hour) && is(&text, ':') && digits(&text, 2, &minute) &&
                is(&text, ':') && digits(&text, 2, &second);
    if (read && is(&text, '.')) {
        read = digits(&text, 3, &milli);
    }
    if (!read || !is(&text, 'Z') || *text != '\0' || year < 1970 || month < 1 || month > 12 ||
        day < 1 || day > lengths[month - 1] + (month == 2 && leap(year)) || hour > 23 ||
        minute > 59 || second > 59) {
        return false;
    }
    *ms = (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milli;
    return true;
}
