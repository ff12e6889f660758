FROM base
COPY ["sp ace.txt", "a.txt", "/with space/"]
