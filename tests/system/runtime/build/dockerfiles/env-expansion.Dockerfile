FROM base
ENV A=value EMPTY=
ENV B=${A:-no} C=${NONE:-yes} D=${A:+set} E=${NONE:+set} F=${EMPTY:-empty} G=\$A H="\${A}" I='$A'
RUN echo "$B $C $D $E $F $G $H" >/x
