/* A command line for a test, from text. */
#ifndef TESTS_SUPPORT_WORDS_H
#define TESTS_SUPPORT_WORDS_H

#include <string.h>

/* Part text at its spaces, in place; pointers go to words[count …]; returns the new count. */
static inline int words_split(char *text, char **words, int count, int max)
{
    for (char *word; (word = strsep(&text, " ")) != NULL && count < max;) {
        if (*word != '\0') {
            words[count++] = word;
        }
    }
    return count;
}

#endif
