#!/bin/ksh
#
# fcdb.ksh  FlashCopy of the database volumes with failover to server B
#
# fcdb.ksh [-n] task [task ...]     -n  do not wait for the copy
#
# AIX 5.2, 08/2004  pw

typeset -i RC=0 MAXTRY=2 try=0
typeset -u ANSWER
typeset PROG=${0##*/} WAIT=yes

. ${0%/*}/ess.conf

function log
{
	print "$PROG: $*"
}

function flash		# server task ...
{
	typeset server=$1
	shift
	# flags last: that is how the redbook has it
	rsExecuteTask.sh "$@" -s $server -u $U -p $P
}

while getopts n opt
do
	case $opt in
	n)	WAIT=no ;;
	*)	print -u2 "usage: $PROG [-n] task ..."; exit 1 ;;
	esac
done
shift $((OPTIND - 1))
(( $# == 0 )) && { print -u2 "usage: $PROG [-n] task ..."; exit 1; }

set -A SERVERS $SERVERA $SERVERB
for server in ${SERVERS[@]}
do
	(( try += 1 ))
	flash $server "$@"
	RC=$?
	[[ $RC -ne 3 ]] && break
	log "server $try of ${#SERVERS[@]} is down"
done

if [[ $RC = 0 && $WAIT = yes ]]
then
	for task
	do
		rsQueryComplete.sh -s $server -u $U -p $P $task || RC=$?
	done
fi

rsFlashCopyQuery.sh -s $server -u $U -p $P |
while read src tgt state rest
do
	[[ $src = source ]] && continue
	log "$src -> $tgt is $state"
done

ANSWER=ok
[[ $RC != 0 ]] && ANSWER=failed
log "$ANSWER rc=$RC"
exit $RC
