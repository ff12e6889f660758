FROM base
MAINTAINER Some One <some@one>
