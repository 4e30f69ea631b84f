"""Manifests that were tried: the same gunicorn as a Kubernetes Deployment and as a systemd service.

`kubernetes.yaml`: `kubectl apply -f kubernetes.yaml`, then edit the ConfigMap. The kubelet swaps the mounted folder
(within a minute or so), the owner sees it, every worker of the pod has it; no rollout. `kubectl exec POD -- confcast
reload` says what became of it in each worker of that pod; it loads what the kubelet has mounted there by then, so soon
after an edit it may still say "unchanged". (`deploy/app` in the place of POD would be one pod of the two.)

`app.service`: `systemctl reload app` waits for the verdict and fails when the configuration is refused, or does not
run in every worker; `journalctl -u app` has the reason, by file, line and column. The service goes on in any case.

`gunicorn_conf.py` is what both start. Copy the three, and put your application and loader in place of the example's.
"""
