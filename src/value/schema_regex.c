/* SPDX-License-Identifier: MIT */
/* schema_regex.c - from regular expressions of ECMA-262 to those of PCRE2: whatever the two read
 * differently is spelled out, and what only PCRE2 knows is refused. */
#include "base/text.h"
#include "value/schema_pattern.h"

#define SPACE                                                                         \
    "\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
    "\\x{3000}\\x{feff}"
#define NO_SPACE                                                                   \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"     \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}" \
    "\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"
#define ANY        "[\\x{0}-\\x{10ffff}]"
#define NOTHING    "(?!)"
#define DOT        "[^\\n\\r\\x{2028}\\x{2029}]"

#define REPEAT_MAX 65535u

struct reader {
    struct slice text;
    size_t at;
    struct buf *out;
    struct schema_regex_fault *fault;
    uint32_t groups; /* in the whole */
    bool has_failed;
    bool can_repeat; /* what was read last may be followed by a quantifier */
};

/* One member of a class, or an escape anywhere. */
struct atom {
    bool is_set; /* of characters: `set` is what stands for it in a class */
    const char *set;
    struct slice property;
    char property_letter; /* p or P; 0: none */
    uint32_t code;
};

#define SURROGATE_FIRST 0xd800u
#define SURROGATE_LAST  0xdfffu
#define CODE_MAX        0x10ffffu

static bool wrong(struct reader *r, size_t at, const char *words)
{
    if (!r->has_failed) {
        *r->fault = (struct schema_regex_fault){at, words};
        r->has_failed = true;
    }
    return false;
}

static bool is_left(const struct reader *r)
{
    return r->at < r->text.len && !r->has_failed;
}

static char peek(const struct reader *r, size_t ahead)
{
    if (r->at + ahead < r->text.len) {
        return r->text.ptr[r->at + ahead];
    }
    return '\0';
}

static bool skip_char(struct reader *r, char c)
{
    bool is_there = is_left(r) && r->text.ptr[r->at] == c;
    r->at += is_there;
    return is_there;
}

static bool is_surrogate(uint32_t code)
{
    return code >= SURROGATE_FIRST && code <= SURROGATE_LAST;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The text is UTF-8, checked before. */
static uint32_t take_code(struct reader *r)
{
    const unsigned char *at = (const unsigned char *)r->text.ptr + r->at;
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t len = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    uint32_t code = *at & masks[len];
    for (size_t i = 1; i < len; i++) {
        code = code << 6 | (at[i] & 0x3fu);
    }
    r->at += len;
    return code;
}

static void put_code(struct reader *r, uint32_t code)
{
    bool is_plain = code < 0x80 && (is_letter((char)code) || is_digit((char)code));
    if (is_plain) {
        buf_put_byte(r->out, (uint8_t)code);
    } else {
        buf_printf(r->out, "\\x{%x}", (unsigned)code);
    }
}

/* ---- escapes ----------------------------------------------------------------------------- */

/* `count` hexadecimal digits. */
static bool take_hex(struct reader *r, unsigned count, uint32_t *ret)
{
    uint32_t code = 0;
    for (unsigned i = 0; i < count; i++) {
        char c = peek(r, i);
        int low = c | 0x20;
        if (is_digit(c)) {
            code = code << 4 | (uint32_t)(c - '0');
        } else if (low >= 'a' && low <= 'f') {
            code = code << 4 | (uint32_t)(low - 'a' + 10);
        } else {
            return false;
        }
    }
    r->at += count;
    *ret = code;
    return true;
}

static bool take_braced(struct reader *r, uint32_t *ret)
{
    uint32_t code = 0;
    uint32_t digit;
    size_t start = ++r->at;
    while (code <= CODE_MAX && take_hex(r, 1, &digit)) {
        code = code << 4 | digit;
    }
    *ret = code;
    return r->at > start && code <= CODE_MAX && skip_char(r, '}');
}

/* Behind "\u": four digits, a pair of surrogates, or any number in braces. */
static bool take_unicode(struct reader *r, uint32_t *ret)
{
    if (peek(r, 0) == '{') {
        return take_braced(r, ret);
    }
    if (!take_hex(r, 4, ret)) {
        return false;
    }
    size_t back = r->at;
    uint32_t low;
    bool is_high = *ret >= SURROGATE_FIRST && *ret < 0xdc00;
    if (is_high && peek(r, 0) == '\\' && peek(r, 1) == 'u') {
        r->at += 2;
        if (take_hex(r, 4, &low) && low >= 0xdc00 && low <= SURROGATE_LAST) {
            *ret = 0x10000 + ((*ret - SURROGATE_FIRST) << 10) + (low - 0xdc00);
        } else {
            r->at = back;
        }
    }
    return true;
}

/* Behind "\p" or "\P". Which names there are, PCRE2 knows. */
static bool take_property(struct reader *r, struct atom *ret)
{
    size_t start = r->at + 1;
    if (peek(r, 0) != '{') {
        return false;
    }
    size_t len = 0;
    for (char c = peek(r, 1); is_letter(c) || is_digit(c) || c == '_' || c == '=';
         c = peek(r, ++len + 1)) {
    }
    if (!len || peek(r, len + 1) != '}') {
        return false;
    }
    struct slice name = {r->text.ptr + start, len};
    r->at += len + 2;
    ret->property = name;
    return true;
}

static bool take_set(char c, struct atom *ret)
{
    static const struct {
        char letter;
        const char *set;
    } sets[] = {{'d', "0-9"}, {'D', "\\D"}, {'w', "\\w"},
                {'W', "\\W"}, {'s', SPACE}, {'S', NO_SPACE}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (sets[i].letter == c) {
            ret->is_set = true;
            ret->set = sets[i].set;
            return true;
        }
    }
    return false;
}

static bool take_control(char c, struct atom *ret)
{
    static const char letters[] = "tnvfr";
    static const char codes[] = "\t\n\v\f\r";
    const char *found = c ? strchr(letters, c) : NULL;
    ret->code = found ? (uint32_t)codes[found - letters] : 0;
    return found != NULL;
}

/* An escape that means the same in a class and outside of it; the reader stands behind the
 * backslash. */
static bool take_escape(struct reader *r, struct atom *ret)
{
    size_t start = r->at - 1;
    char c = peek(r, 0);
    *ret = (struct atom){.code = 0};
    if (r->at == r->text.len) {
        return wrong(r, start, "a backslash at the end");
    }
    if ((unsigned char)c >= 0x80) {
        ret->code = take_code(r);
        return true;
    }
    r->at++;
    if (take_set(c, ret) || take_control(c, ret)) {
        return true;
    }
    switch (c) {
    case 'p':
    case 'P':
        ret->is_set = true;
        ret->property_letter = c;
        return take_property(r, ret) || wrong(r, start, "no property of characters");
    case 'c':
        ret->code = (uint32_t)peek(r, 0) & 31;
        r->at++;
        return is_letter(r->text.ptr[r->at - 1]) || wrong(r, start, "no control character");
    case 'x':
        return take_hex(r, 2, &ret->code) || wrong(r, start, "\\x without two digits");
    case 'u':
        return take_unicode(r, &ret->code) || wrong(r, start, "\\u without a character");
    case '0':
        return !is_digit(peek(r, 0)) || wrong(r, start, "an octal escape");
    default:
        ret->code = (uint32_t)c;
        return !(is_letter(c) || is_digit(c)) ||
               wrong(r, start, "an escape that ECMA-262 does not have");
    }
}

static void put_set(struct reader *r, const struct atom *atom)
{
    if (atom->property_letter) {
        schema_regex_put_property(r->out, atom->property_letter, atom->property);
    } else {
        buf_put_text(r->out, atom->set);
    }
}

/* ---- classes ----------------------------------------------------------------------------- */

static bool take_member(struct reader *r, struct atom *ret)
{
    *ret = (struct atom){.code = 0};
    if (!skip_char(r, '\\')) {
        ret->code = take_code(r);
        return true;
    }
    if (skip_char(r, 'b')) {
        ret->code = '\b';
        return true;
    }
    return take_escape(r, ret);
}

/* No text has surrogates in it. */
static void put_range(struct reader *r, uint32_t low, uint32_t high)
{
    low = is_surrogate(low) ? SURROGATE_LAST + 1 : low;
    high = is_surrogate(high) ? SURROGATE_FIRST - 1 : high;
    if (low > high) {
        return;
    }
    put_code(r, low);
    if (high > low) {
        buf_put_byte(r->out, '-');
        put_code(r, high);
    }
}

/* A member, or a range if a hyphen and another follow. */
static void read_member(struct reader *r)
{
    struct atom low;
    struct atom high;
    size_t start = r->at;
    if (!take_member(r, &low)) {
        return;
    }
    bool is_range = peek(r, 0) == '-' && r->at + 1 < r->text.len && peek(r, 1) != ']';
    if (low.is_set) {
        put_set(r, &low);
        return;
    }
    if (!is_range) {
        put_range(r, low.code, low.code);
        return;
    }
    r->at++;
    if (!take_member(r, &high)) {
        return;
    }
    if (high.is_set) { /* then the hyphen is one */
        put_range(r, low.code, low.code);
        put_code(r, '-');
        put_set(r, &high);
    } else if (low.code > high.code) {
        (void)wrong(r, start, "a range out of order");
    } else {
        put_range(r, low.code, high.code);
    }
}

/* Behind "[". */
static void read_class(struct reader *r)
{
    size_t start = r->at - 1;
    size_t opened = r->out->len;
    bool is_negated = skip_char(r, '^');
    buf_put_text(r->out, is_negated ? "[^" : "[");
    size_t empty = r->out->len;
    while (is_left(r) && peek(r, 0) != ']') {
        read_member(r);
    }
    if (!skip_char(r, ']')) {
        (void)wrong(r, start, "a class that does not end");
    } else if (r->out->len > empty) {
        buf_put_byte(r->out, ']');
    } else if (!r->out->overflow) {
        r->out->len = opened;
        buf_put_text(r->out, is_negated ? ANY : NOTHING);
    }
    r->can_repeat = true;
}

/* ---- everything else --------------------------------------------------------------------- */

/* "<name>", which follows. */
static void read_name(struct reader *r)
{
    size_t start = r->at;
    buf_put_byte(r->out, '<');
    r->at++;
    for (char c = peek(r, 0); is_letter(c) || is_digit(c) || c == '_'; c = peek(r, 0)) {
        buf_put_byte(r->out, (uint8_t)c);
        r->at++;
    }
    buf_put_byte(r->out, '>');
    if (!skip_char(r, '>') || r->at - start < 3) {
        (void)wrong(r, start, "no name of a group");
    }
}

/* Behind "\", where a number or a name may refer to a group. */
static void read_escape(struct reader *r)
{
    struct atom atom;
    char c = peek(r, 0);
    r->can_repeat = true;
    if (c == 'b' || c == 'B') {
        buf_printf(r->out, "\\%c", c);
        r->at++;
        r->can_repeat = false;
    } else if (c >= '1' && c <= '9') {
        uint32_t number = 0;
        size_t start = r->at - 1;
        for (; is_digit(peek(r, 0)) && number <= r->groups; r->at++) {
            number = number * 10 + (uint32_t)(peek(r, 0) - '0');
        }
        if (number > r->groups) {
            (void)wrong(r, start, "a reference to a group that is not there");
        }
        buf_printf(r->out, "\\g{%u}", (unsigned)number);
    } else if (c == 'k') {
        buf_put_text(r->out, "\\k");
        r->at++;
        if (peek(r, 0) == '<') {
            read_name(r);
        } else {
            (void)wrong(r, r->at, "\\k without a name");
        }
    } else if (take_escape(r, &atom)) {
        if (atom.is_set) {
            buf_put_byte(r->out, '[');
            put_set(r, &atom);
            buf_put_byte(r->out, ']');
        } else if (is_surrogate(atom.code)) {
            buf_put_text(r->out, NOTHING);
        } else {
            put_code(r, atom.code);
        }
    }
}

/* Behind "(". What may stand behind "(?": nothing that only PCRE2 knows. */
static void read_group(struct reader *r)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!", "?i:", "?-i:"};
    struct slice rest = {r->text.ptr + r->at, r->text.len - r->at};
    buf_put_byte(r->out, '(');
    r->can_repeat = false;
    if (peek(r, 0) == '*') {
        (void)wrong(r, r->at, "nothing to repeat");
    }
    if (peek(r, 0) != '?') {
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (slice_starts(rest, kinds[i])) {
            buf_put_text(r->out, kinds[i]);
            r->at += strlen(kinds[i]);
            return;
        }
    }
    if (slice_starts(rest, "?<")) {
        buf_put_byte(r->out, '?');
        r->at++;
        read_name(r);
        return;
    }
    (void)wrong(r, r->at, "a kind of group that ECMA-262 does not have");
}

static uint32_t take_number(struct reader *r, bool *ret_is_there)
{
    uint32_t number = 0;
    *ret_is_there = is_digit(peek(r, 0));
    for (; is_digit(peek(r, 0)); r->at++) {
        number = number > REPEAT_MAX ? number : number * 10 + (uint32_t)(peek(r, 0) - '0');
    }
    return number;
}

/* Behind "{": whether it is a quantifier; if not, the brace stands for itself. */
static bool read_counts(struct reader *r)
{
    size_t back = r->at;
    bool has_least;
    bool has_most = true;
    uint32_t least = take_number(r, &has_least);
    uint32_t most = least;
    bool has_comma = skip_char(r, ',');
    if (has_comma) {
        most = take_number(r, &has_most);
    }
    if (!has_least || !skip_char(r, '}')) {
        r->at = back;
        return false;
    }
    if (least > REPEAT_MAX || most > REPEAT_MAX) {
        (void)wrong(r, back, "a count above 65535");
    } else if (has_most && most < least) {
        (void)wrong(r, back, "counts out of order");
    }
    buf_printf(r->out, "{%u", (unsigned)least);
    if (has_comma && has_most) {
        buf_printf(r->out, ",%u", (unsigned)most);
    } else if (has_comma) {
        buf_put_byte(r->out, ',');
    }
    buf_put_byte(r->out, '}');
    return true;
}

/* A quantifier is behind the reader: it may be lazy, but nothing repeats it. */
static void end_quantifier(struct reader *r, size_t start)
{
    if (!r->can_repeat) {
        (void)wrong(r, start, "nothing to repeat");
    }
    if (skip_char(r, '?')) {
        buf_put_byte(r->out, '?');
    }
    r->can_repeat = false;
}

static void read_next(struct reader *r)
{
    size_t start = r->at;
    char c = peek(r, 0);
    if ((unsigned char)c >= 0x80) {
        put_code(r, take_code(r));
        r->can_repeat = true;
        return;
    }
    r->at++;
    switch (c) {
    case '\\':
        read_escape(r);
        return;
    case '[':
        read_class(r);
        return;
    case '(':
        read_group(r);
        return;
    case '*':
    case '+':
    case '?':
        buf_put_byte(r->out, (uint8_t)c);
        end_quantifier(r, start);
        return;
    case '{':
        if (read_counts(r)) {
            end_quantifier(r, start);
            return;
        }
        break;
    case '^':
    case '$':
    case '|':
        buf_put_byte(r->out, (uint8_t)c);
        r->can_repeat = false;
        return;
    case ')':
        buf_put_byte(r->out, (uint8_t)c);
        r->can_repeat = true;
        return;
    case '.':
        buf_put_text(r->out, DOT);
        r->can_repeat = true;
        return;
    default:
        break;
    }
    put_code(r, (uint32_t)c);
    r->can_repeat = true;
}

/* Groups that capture. */
static uint32_t count_groups(struct slice text)
{
    uint32_t count = 0;
    bool is_in_class = false;
    for (size_t i = 0; i < text.len; i++) {
        struct slice rest = {text.ptr + i + 1, text.len - i - 1};
        if (text.ptr[i] == '\\') {
            i++;
        } else if (text.ptr[i] == '[') {
            is_in_class = true;
        } else if (text.ptr[i] == ']') {
            is_in_class = false;
        } else if (text.ptr[i] == '(' && !is_in_class) {
            bool is_named = slice_starts(rest, "?<") && !slice_starts(rest, "?<=") &&
                            !slice_starts(rest, "?<!");
            count += !slice_starts(rest, "?") || is_named;
        }
    }
    return count;
}

bool schema_regex_translate(struct slice from, struct buf *out, struct schema_regex_fault *ret)
{
    struct reader r = {.text = from, .out = out, .fault = ret, .groups = count_groups(from)};
    if (!text_is_utf8(from)) {
        return wrong(&r, 0, "no UTF-8");
    }
    while (is_left(&r)) {
        read_next(&r);
    }
    return !r.has_failed;
}
