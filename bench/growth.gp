# gnuplot bench/growth.gp: draws docs/growth.png from bench/growth.tsv (bench.py --growth wrote it)
# SPDX-License-Identifier: GPL-2.0-or-later
set terminal pngcairo size 1000,480 font "sans,11"
set output "docs/growth.png"
set datafile separator "\t"
set multiplot layout 1,2
set logscale x
set format x "10^{%L}"
set xlabel "packets"
set xrange [7e3:1.5e7]
set key top left
set grid

set logscale y
set ylabel "seconds of processor time, start-up included"
plot "< grep ^rtp bench/growth.tsv" using 2:3 with linespoints title "stock, RTP unknown to it", \
     "" using 2:5 with linespoints title "stock with its switches", \
     "" using 2:7 with linespoints lw 2 title "plugin", \
     "< grep ^calls bench/growth.tsv" using 2:7 with linespoints title "plugin, 4 packets a call", \
     "< grep ^stun bench/growth.tsv" using 2:7 with linespoints title "plugin, Apple STUN"

unset logscale y
set ylabel "MiB above stock with its switches"
set yrange [-140:80]
plot "< grep ^rtp bench/growth.tsv" using 2:($8-$6) with linespoints lw 2 title "RTP of one call", \
     "< grep ^calls bench/growth.tsv" using 2:($8-$6) with linespoints title "4 packets a call", \
     "< grep ^stun bench/growth.tsv" using 2:($8-$6) with linespoints title "Apple STUN"
unset multiplot
