#!/bin/ksh
# agent.ksh -- talk to setuser as a co-process; add whoever is missing
. ${0%/*}/ess.conf

setuser -s $SERVER -u $U -p $P 2>&1 |&
for who in "$@"
do
	print -p "adduser $who ${who}pw01"
	read -p answer
	print -r -- "$answer"
done
print -p exit
wait
