FROM base
ADD x.tar /a/
ADD x.tar.gz x.tar.bz2 x.tar.xz /b/
