/*
 * session.h
 *	  Verified claims: who is asking, for the rest of this transaction.
 */
#ifndef JWT_AUTH_SESSION_H
#define JWT_AUTH_SESSION_H

extern void session_init(void);

#endif							/* JWT_AUTH_SESSION_H */
