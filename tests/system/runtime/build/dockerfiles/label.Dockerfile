FROM base
LABEL a=b "c d"="e f" g='h i'
LABEL multi="one \
two"
LABEL a=again
