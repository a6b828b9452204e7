/* SPDX-License-Identifier: MIT */
/* A doubly linked ring with a head, as the kernel's: links live inside the objects. No locking of its own. */
#ifndef LKVM_LIST_H
#define LKVM_LIST_H

#include <lkvm/types.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void list_del(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

/* All of `from`, which is empty afterwards. What `to` had before is forgotten. */
static inline void list_move(struct list *from, struct list *to)
{
	list_init(to);
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to->prev->next = to;
	list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each(pos, head, member)                                                                     \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);               \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_reverse(pos, head, member)                                                             \
	for (pos = list_entry((head)->prev, __typeof__(*pos), member); &pos->member != (head);               \
	     pos = list_entry(pos->member.prev, __typeof__(*pos), member))

#endif
