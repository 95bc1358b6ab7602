/*
 * password.h
 *	  Password hashes, and how many sessions hash at once.
 */
#ifndef JWT_AUTH_PASSWORD_H
#define JWT_AUTH_PASSWORD_H

#include "postgres.h"

#include "storage/lock.h"

extern void password_take_place(LOCKTAG *place);
extern void password_leave_place(LOCKTAG *place);

#endif							/* JWT_AUTH_PASSWORD_H */
