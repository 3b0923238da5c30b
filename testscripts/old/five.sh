#!/bin/sh
#
# five.sh -- start the FlashCopies of all five database servers at once,
#            then look how each one ended.   JdV 2004-09-14
#
. `dirname $0`/ess.conf
LOGDIR=${LOGDIR-/var/log/ess}

PIDS=
for db in DB1 DB2 DB3 DB4 DB5
do
    rsExecuteTask.sh -s $SERVER -u $U -p $P FC_$db > $LOGDIR/FC_$db.log 2>&1 &
    PIDS="$PIDS $!"
done

ERRORS=0
for pid in $PIDS
do
    wait $pid || ERRORS=`expr $ERRORS + 1`
done

grep -l error: $LOGDIR/FC_DB?.log
if [ $ERRORS -gt 0 ]
then
    echo "$ERRORS of 5 failed"
    exit 1
fi
echo "all started"
