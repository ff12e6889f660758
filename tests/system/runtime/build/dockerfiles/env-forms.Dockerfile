FROM base
ENV A=1 B="two words" C='single $A' D=a\ b E=$A
ENV OLD the rest   of it
ENV A=2 F=$A
