/* SPDX-License-Identifier: MIT */
/* notify.h - sd_notify(3) without libsystemd: a datagram to $NOTIFY_SOCKET, if there is one. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "base/clock.h"

/* `state`: "READY=1", "STOPPING=1", "STATUS=...", several separated by newlines. */
void notify_send(const char *state);

/* RELOADING=1 with the time, without which systemd does not take it. */
void notify_reloading(void);

/* How often the watchdog wants to hear of us; MONO_NEVER: not at all. */
mono_us notify_watchdog_interval(void);

#endif
