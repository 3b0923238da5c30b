#!/bin/sh
# Register the arrays and the agent's user after an installation.
# 2005-03 for the VSS project

if [ $# -ne 2 ]; then
	echo "usage: $0 ess-ip agent-user" >&2
	exit 1
fi
. `dirname $0`/ess.conf

setdevice -s $SERVER -u $U -p $P <<EOF > /tmp/register.$$ 2>&1
addess $1 admin adminpw
addessserver $1 admin adminpw
exit
EOF
if grep "An essserver entry for IP $1 successfully added" /tmp/register.$$ >/dev/null
then :
else
	cat /tmp/register.$$
	rm -f /tmp/register.$$
	exit 1
fi

(echo "adduser $2 secret01"
 echo exit) | setuser -s $SERVER -u superuser -p $P > /tmp/register.$$ 2>&1
n=`grep -c "An entry for user $2 successfully added" /tmp/register.$$`
rm -f /tmp/register.$$
[ "$n" -eq 1 ] || { echo "cannot add $2"; exit 1; }
echo registered
