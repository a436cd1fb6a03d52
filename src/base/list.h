/* SPDX-License-Identifier: MIT */
/*
 * list.h - doubly linked lists threaded through their members.
 *
 * Life: a link is in at most one list; list_remove on a link that is in none does nothing.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *prev, *next;
};

struct list {
    struct list_link head;
};

#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* The body may remove the current link. `link` is the name of a declaration: no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define list_each(link, list)                                                   \
    for (struct list_link *link = (list)->head.next, *link##_next = link->next; \
         link != &(list)->head; link = link##_next, link##_next = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *list)
{
    list->head.prev = list->head.next = &list->head;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline bool list_has(const struct list_link *link)
{
    return link->next != NULL;
}

static inline void list_append(struct list *list, struct list_link *link)
{
    link->prev = list->head.prev;
    link->next = &list->head;
    list->head.prev->next = link;
    list->head.prev = link;
}

static inline void list_remove(struct list_link *link)
{
    if (link->next) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->prev = link->next = NULL;
    }
}

static inline struct list_link *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

#endif
