# What test/t/032_clients.pl puts below the code of docs/clients.md.

def code_of(work):
    try:
        work()
    except psycopg.Error as error:
        return error.sqlstate


def sees(token):
    with signed_in(connection, token):
        return connection.execute('SELECT body FROM notes').fetchall()


print(json.dumps({
    'notes': [body for body, in notes],
    'refreshed': sees(tokens['access_token']) == notes,
    'nobody': connection.execute('SELECT auth.uid()').fetchone()[0],
    'refused': code_of(lambda: sees('x')),
    'still': len(sees(tokens['access_token'])),
    'wrong_password': login(connection, 'ann@example.com', 'wrong')['error_code'],
    'wrong_token': refresh(connection, 'x')['error_code']}))
