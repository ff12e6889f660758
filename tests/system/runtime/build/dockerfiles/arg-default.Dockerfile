FROM base
ARG A=one
ARG B
ARG C=${A}-two
ENV E=$A F=$B G=$C
RUN echo "$A $B $C" >/x
