#!/bin/sh
# luncheck.sh -- are all ESS LUNs of this host free of copy relations?
# Prints the busy ones.  Exit 0: all free.          (mk 06/2002)

. `dirname $0`/ess.conf

BUSY=0
TMP=/tmp/luncheck.$$
trap 'rm -f $TMP' 0 1 2 15

rsTestConnection.sh -s $SERVER -u $U -p $P > /dev/null 2>&1
if test $? -ne 0
then
	echo "luncheck: $SERVER does not answer"
	exit 9
fi

LUNS=`rsList2105s.sh | awk 'NR>2 {print $2}'`
if [ -z "$LUNS" ]; then
	echo "luncheck: no 2105 disks on this host"
	exit 8
fi

for lun in $LUNS
do
	rsQuery.sh -s $SERVER -u $U -p $P $lun | tail -1 > $TMP
	role=`awk '{print $3}' $TMP`
	if [ "$role" != "none" ]; then
		BUSY=`expr $BUSY + 1`
		echo "$lun is $role"
	fi
done

DISKS=`rsList2105s.sh | sed '1,2d' | wc -l`
echo "$BUSY of" $DISKS "LUNs busy"
[ $BUSY -eq 0 ]
