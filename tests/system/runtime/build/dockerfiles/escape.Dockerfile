# escape=`
FROM base
RUN echo a`
b >/x
ENV P=C:\path
