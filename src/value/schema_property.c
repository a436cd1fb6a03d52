/* SPDX-License-Identifier: MIT */
/* schema_property.c - the properties of characters that regular expressions name: ECMA-262 and PCRE2
 * spell them differently. */
#include "value/schema_pattern.h"

/* Names that ECMA-262 gives to general categories, and those that PCRE2 does. */
static const struct {
    const char *name, *to;
} categories[] = {
    {"Cased_Letter", "L&"},
    {"LC", "L&"},
    {"Close_Punctuation", "Pe"},
    {"Connector_Punctuation", "Pc"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Currency_Symbol", "Sc"},
    {"Dash_Punctuation", "Pd"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Enclosing_Mark", "Me"},
    {"Final_Punctuation", "Pf"},
    {"Format", "Cf"},
    {"Initial_Punctuation", "Pi"},
    {"Letter", "L"},
    {"Letter_Number", "Nl"},
    {"Line_Separator", "Zl"},
    {"Lowercase_Letter", "Ll"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Math_Symbol", "Sm"},
    {"Modifier_Letter", "Lm"},
    {"Modifier_Symbol", "Sk"},
    {"Nonspacing_Mark", "Mn"},
    {"Number", "N"},
    {"Open_Punctuation", "Ps"},
    {"Other", "C"},
    {"Other_Letter", "Lo"},
    {"Other_Number", "No"},
    {"Other_Punctuation", "Po"},
    {"Other_Symbol", "So"},
    {"Paragraph_Separator", "Zp"},
    {"Private_Use", "Co"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Spacing_Mark", "Mc"},
    {"Surrogate", "Cs"},
    {"Symbol", "S"},
    {"Titlecase_Letter", "Lt"},
    {"Unassigned", "Cn"},
    {"Uppercase_Letter", "Lu"},
};

static struct slice behind(struct slice text, const char *prefix)
{
    size_t len = slice_starts(text, prefix) ? strlen(prefix) : 0;
    return (struct slice){text.ptr + len, text.len - len};
}

static struct slice category_named(struct slice name)
{
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++) {
        if (slice_is(name, categories[i].name)) {
            return slice_of(categories[i].to);
        }
    }
    return name;
}

void schema_regex_put_property(struct buf *out, char letter, struct slice name)
{
    static const struct {
        const char *from, *to;
    } scripts[] = {
        {"Script=", "sc:"}, {"sc=", "sc:"}, {"Script_Extensions=", "scx:"}, {"scx=", "scx:"}};
    const char *prefix = "";
    name = category_named(behind(behind(name, "General_Category="), "gc="));
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (slice_starts(name, scripts[i].from)) {
            prefix = scripts[i].to;
            name = behind(name, scripts[i].from);
            break;
        }
    }
    if (slice_is(name, "Assigned")) { /* all that are not unassigned */
        letter = letter == 'p' ? 'P' : 'p';
        name = slice_of("Cn");
    }
    buf_printf(out, "\\%c{%s", letter, prefix);
    buf_put_slice(out, name);
    buf_put_byte(out, '}');
}
