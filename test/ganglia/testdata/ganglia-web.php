<?php
// Asks gmetad's interactive port as ganglia-web does, with ganglia-web's own reader, and prints what came of it.
// Arguments: the folder of ganglia-web, address, port, context, cluster, host.
error_reporting(E_ERROR);
[, $root, $address, $port, $context, $clustername, $hostname] = $argv;
chdir($root);
$conf = ['rrdtool' => 'rrdtool', 'strip_extra' => true];
$debug = 0;
require "$root/functions.php";
// Its one line that PHP 8 ends at, because a function looks at a global that it has not named.
$code = str_replace('in_array($context, $SKIP_GMETAD_CONTEXTS)', 'false', file_get_contents("$root/ganglia.php"), $times);
if ($times != 1) exit("ganglia.php is another than Debian 12's\n");
eval('?>' . str_replace('dirname(__FILE__)', "'$root'", $code));
$ok = Gmetad($address, (int) $port);
echo json_encode([
    'ok' => $ok, 'error' => $error, 'self' => $self, 'grid' => $grid, 'cluster' => $cluster, 'index' => $index_array,
    'up' => $hosts_up, 'down' => $hosts_down, 'metrics' => $metrics,
], JSON_PRETTY_PRINT | JSON_PARTIAL_OUTPUT_ON_ERROR);
