"""Manifests that were tried: one gunicorn application as a Kubernetes Deployment, and as a systemd service.

`kubernetes.yaml`: `kubectl apply -f kubernetes.yaml`, then edit the ConfigMap. The kubelet swaps the mounted folder
(within a minute or so), the owner notices, and every worker of the pod gets the new version, without a rollout.
`kubectl exec POD -- confcast reload` reports the outcome in each worker of that pod. It loads the content that the
kubelet has mounted by then: soon after an edit it may say "unchanged". (`deploy/app` as POD means one of the two.)

`app.service`: `systemctl reload app` waits for the outcome and fails if the configuration is refused, or is not applied
in every worker; `journalctl -u app` has the reason, by file, line and column. The service goes on in any case.

`admin.service`: the admin API and its page, for the owner of `confcast.service` (`guide/admin.md`).

`gateway.service`: a gateway for many hosts (`guide/many_hosts.md`), with a certificate, and tokens of its hosts.

The first two start `gunicorn_conf.py`. Copy the three files, and put your application and loader in place of the
example's.
"""
