"""What the pages say, by language."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidings.domain.categories import Cadence
from tidings.domain.channels import Channel


@dataclass(frozen=True, slots=True)
class Texts:
    """{category}, {channel} and {zone} stand for their names."""

    language: str
    channels: Mapping[Channel, str]
    unsubscribe_title: str
    unsubscribe_question: str
    unsubscribe_button: str
    done_title: str
    done_text: str
    undo_button: str
    undone_title: str
    undone_text: str
    mandatory_text: str
    choices_link: str
    choices_title: str
    choices_text: str
    everything: str
    everything_text: str
    always: str
    save_button: str
    saved: str
    often: str
    cadences: Mapping[Cadence, str]
    digest_title: str
    digest_text: str
    digest_at: str
    digest_day: str
    quiet_title: str
    quiet_text: str
    quiet_box: str
    quiet_from: str
    quiet_to: str
    quiet_days: str
    quiet_wrong: str
    zone_title: str
    zone_text: str
    zone_default: str
    invalid_title: str
    invalid_text: str
    unavailable_title: str
    unavailable_text: str
    right_to_left: bool = False


ENGLISH = Texts(
    language="en",
    channels={
        Channel.EMAIL: "Email",
        Channel.SMS: "Text message",
        Channel.PUSH: "Push notification",
        Channel.IN_APP: "In the app",
    },
    unsubscribe_title="Unsubscribe",
    unsubscribe_question="Do you want to stop getting “{category}” by this channel: {channel}?",
    unsubscribe_button="Unsubscribe",
    done_title="You are unsubscribed",
    done_text="You will get no more “{category}” by this channel: {channel}.",
    undo_button="Subscribe again",
    undone_title="You are subscribed again",
    undone_text="You will get “{category}” by this channel again: {channel}.",
    mandatory_text="“{category}” is always sent, because it is needed to use the service.",
    choices_link="All my choices",
    choices_title="Notification preferences",
    choices_text="Choose what you want to be told, and how.",
    everything="All notifications",
    everything_text="What is off here is off for every kind below.",
    always="Always sent",
    save_button="Save",
    saved="Your choices are saved.",
    often="How often",
    cadences={
        Cadence.AT_ONCE: "At once",
        Cadence.HOURLY: "Every hour",
        Cadence.DAILY: "Every day",
        Cadence.WEEKLY: "Every week",
    },
    digest_title="Time of summaries",
    digest_text="Daily and weekly ones come at this time.",
    digest_at="Time",
    digest_day="Weekly ones on",
    quiet_title="Quiet hours",
    quiet_text="What comes meanwhile is sent afterwards; what is urgent comes at once.",
    quiet_box="Do not disturb me",
    quiet_from="From",
    quiet_to="To",
    quiet_days="Beginning on",
    quiet_wrong="Nothing was saved. Quiet hours need a beginning, another end, and at least one day.",
    zone_title="Time zone",
    zone_text="The times on this page are in this zone.",
    zone_default="Not chosen ({zone})",
    invalid_title="This link does not work",
    invalid_text="It is incomplete or has expired. Please use the link of a newer message.",
    unavailable_title="Please try again",
    unavailable_text="This does not work at the moment. Nothing was changed. Try again in a minute.",
)
_GERMAN = Texts(
    language="de",
    channels={
        Channel.EMAIL: "E-Mail",
        Channel.SMS: "SMS",
        Channel.PUSH: "Push-Mitteilung",
        Channel.IN_APP: "In der App",
    },
    unsubscribe_title="Abmelden",
    unsubscribe_question="Möchten Sie „{category}“ auf diesem Weg nicht mehr erhalten: {channel}?",
    unsubscribe_button="Abmelden",
    done_title="Sie sind abgemeldet",
    done_text="Sie erhalten „{category}“ auf diesem Weg nicht mehr: {channel}.",
    undo_button="Wieder anmelden",
    undone_title="Sie sind wieder angemeldet",
    undone_text="Sie erhalten „{category}“ wieder auf diesem Weg: {channel}.",
    mandatory_text="„{category}“ wird immer gesendet, weil es für die Nutzung des Dienstes nötig ist.",
    choices_link="Alle Einstellungen",
    choices_title="Benachrichtigungen",
    choices_text="Wählen Sie, was Sie erfahren möchten und auf welchem Weg.",
    everything="Alle Benachrichtigungen",
    everything_text="Was hier aus ist, ist für alle Arten darunter aus.",
    always="Wird immer gesendet",
    save_button="Speichern",
    saved="Ihre Auswahl ist gespeichert.",
    often="Wie oft",
    cadences={
        Cadence.AT_ONCE: "Sofort",
        Cadence.HOURLY: "Jede Stunde",
        Cadence.DAILY: "Jeden Tag",
        Cadence.WEEKLY: "Jede Woche",
    },
    digest_title="Zeit der Zusammenfassungen",
    digest_text="Tägliche und wöchentliche kommen um diese Zeit.",
    digest_at="Uhrzeit",
    digest_day="Wöchentliche am",
    quiet_title="Ruhezeiten",
    quiet_text="Was in dieser Zeit eintrifft, wird danach gesendet; Dringendes kommt sofort.",
    quiet_box="Nicht stören",
    quiet_from="Von",
    quiet_to="Bis",
    quiet_days="Beginn am",
    quiet_wrong="Es wurde nichts gespeichert. Ruhezeiten brauchen einen Anfang, ein anderes Ende und mindestens einen Tag.",
    zone_title="Zeitzone",
    zone_text="Die Zeiten auf dieser Seite gelten in dieser Zone.",
    zone_default="Nicht gewählt ({zone})",
    invalid_title="Dieser Link funktioniert nicht",
    invalid_text="Er ist unvollständig oder abgelaufen. Bitte benutzen Sie den Link einer neueren Nachricht.",
    unavailable_title="Bitte versuchen Sie es noch einmal",
    unavailable_text="Das geht im Augenblick nicht. Es wurde nichts geändert. Versuchen Sie es in einer Minute wieder.",
)
_FRENCH = Texts(
    language="fr",
    channels={
        Channel.EMAIL: "E-mail",
        Channel.SMS: "SMS",
        Channel.PUSH: "Notification push",
        Channel.IN_APP: "Dans l’application",
    },
    unsubscribe_title="Se désabonner",
    unsubscribe_question="Voulez-vous ne plus recevoir « {category} » par ce canal : {channel} ?",
    unsubscribe_button="Se désabonner",
    done_title="Vous êtes désabonné",
    done_text="Vous ne recevrez plus « {category} » par ce canal : {channel}.",
    undo_button="Se réabonner",
    undone_title="Vous êtes de nouveau abonné",
    undone_text="Vous recevrez de nouveau « {category} » par ce canal : {channel}.",
    mandatory_text="« {category} » est toujours envoyé, car c’est nécessaire à l’utilisation du service.",
    choices_link="Tous mes choix",
    choices_title="Préférences de notification",
    choices_text="Choisissez ce que vous voulez savoir, et comment.",
    everything="Toutes les notifications",
    everything_text="Ce qui est désactivé ici l’est pour tout ce qui suit.",
    always="Toujours envoyé",
    save_button="Enregistrer",
    saved="Vos choix sont enregistrés.",
    often="Fréquence",
    cadences={
        Cadence.AT_ONCE: "Immédiatement",
        Cadence.HOURLY: "Chaque heure",
        Cadence.DAILY: "Chaque jour",
        Cadence.WEEKLY: "Chaque semaine",
    },
    digest_title="Heure des résumés",
    digest_text="Les résumés quotidiens et hebdomadaires arrivent à cette heure.",
    digest_at="Heure",
    digest_day="Hebdomadaires le",
    quiet_title="Heures de calme",
    quiet_text="Ce qui arrive pendant ce temps est envoyé ensuite ; ce qui est urgent arrive immédiatement.",
    quiet_box="Ne pas me déranger",
    quiet_from="De",
    quiet_to="À",
    quiet_days="À partir du",
    quiet_wrong="Rien n’a été enregistré. Il faut un début, une fin différente et au moins un jour.",
    zone_title="Fuseau horaire",
    zone_text="Les heures de cette page sont dans ce fuseau.",
    zone_default="Non choisi ({zone})",
    invalid_title="Ce lien ne fonctionne pas",
    invalid_text="Il est incomplet ou a expiré. Veuillez utiliser le lien d’un message plus récent.",
    unavailable_title="Veuillez réessayer",
    unavailable_text="Cela ne fonctionne pas pour le moment. Rien n’a été modifié. Réessayez dans une minute.",
)
_SPANISH = Texts(
    language="es",
    channels={
        Channel.EMAIL: "Correo electrónico",
        Channel.SMS: "SMS",
        Channel.PUSH: "Notificación push",
        Channel.IN_APP: "En la aplicación",
    },
    unsubscribe_title="Cancelar la suscripción",
    unsubscribe_question="¿Quiere dejar de recibir «{category}» por este medio: {channel}?",
    unsubscribe_button="Cancelar la suscripción",
    done_title="Suscripción cancelada",
    done_text="Ya no recibirá «{category}» por este medio: {channel}.",
    undo_button="Volver a suscribirse",
    undone_title="Se ha suscrito de nuevo",
    undone_text="Volverá a recibir «{category}» por este medio: {channel}.",
    mandatory_text="«{category}» se envía siempre, porque es necesario para usar el servicio.",
    choices_link="Todas mis preferencias",
    choices_title="Preferencias de notificación",
    choices_text="Elija qué quiere saber y cómo.",
    everything="Todas las notificaciones",
    everything_text="Lo que se desactiva aquí queda desactivado para todo lo siguiente.",
    always="Se envía siempre",
    save_button="Guardar",
    saved="Sus preferencias se han guardado.",
    often="Con qué frecuencia",
    cadences={
        Cadence.AT_ONCE: "Al momento",
        Cadence.HOURLY: "Cada hora",
        Cadence.DAILY: "Cada día",
        Cadence.WEEKLY: "Cada semana",
    },
    digest_title="Hora de los resúmenes",
    digest_text="Los diarios y semanales llegan a esta hora.",
    digest_at="Hora",
    digest_day="Los semanales, el",
    quiet_title="Horas de silencio",
    quiet_text="Lo que llegue entretanto se envía después; lo urgente llega al momento.",
    quiet_box="No molestar",
    quiet_from="Desde",
    quiet_to="Hasta",
    quiet_days="Días en que empiezan",
    quiet_wrong="No se ha guardado nada. Hacen falta un inicio, un final distinto y al menos un día.",
    zone_title="Zona horaria",
    zone_text="Las horas de esta página son de esta zona.",
    zone_default="Sin elegir ({zone})",
    invalid_title="Este enlace no funciona",
    invalid_text="Está incompleto o ha caducado. Use el enlace de un mensaje más reciente.",
    unavailable_title="Inténtelo de nuevo",
    unavailable_text="Esto no funciona en este momento. No se ha cambiado nada. Inténtelo dentro de un minuto.",
)
_ITALIAN = Texts(
    language="it",
    channels={
        Channel.EMAIL: "E-mail",
        Channel.SMS: "SMS",
        Channel.PUSH: "Notifica push",
        Channel.IN_APP: "Nell’app",
    },
    unsubscribe_title="Annulla l’iscrizione",
    unsubscribe_question="Vuole smettere di ricevere «{category}» con questo mezzo: {channel}?",
    unsubscribe_button="Annulla l’iscrizione",
    done_title="Iscrizione annullata",
    done_text="Non riceverà più «{category}» con questo mezzo: {channel}.",
    undo_button="Iscriviti di nuovo",
    undone_title="Iscrizione ripristinata",
    undone_text="Riceverà di nuovo «{category}» con questo mezzo: {channel}.",
    mandatory_text="«{category}» viene sempre inviato, perché è necessario per usare il servizio.",
    choices_link="Tutte le mie scelte",
    choices_title="Preferenze di notifica",
    choices_text="Scelga che cosa vuole sapere, e come.",
    everything="Tutte le notifiche",
    everything_text="Ciò che è disattivato qui lo è per tutto quanto segue.",
    always="Sempre inviato",
    save_button="Salva",
    saved="Le sue scelte sono state salvate.",
    often="Con quale frequenza",
    cadences={
        Cadence.AT_ONCE: "Subito",
        Cadence.HOURLY: "Ogni ora",
        Cadence.DAILY: "Ogni giorno",
        Cadence.WEEKLY: "Ogni settimana",
    },
    digest_title="Ora dei riepiloghi",
    digest_text="Quelli giornalieri e settimanali arrivano a quest’ora.",
    digest_at="Ora",
    digest_day="Settimanali il",
    quiet_title="Ore di silenzio",
    quiet_text="Ciò che arriva nel frattempo viene inviato dopo; ciò che è urgente arriva subito.",
    quiet_box="Non disturbare",
    quiet_from="Dalle",
    quiet_to="Alle",
    quiet_days="Giorni di inizio",
    quiet_wrong="Non è stato salvato nulla. Servono un inizio, una fine diversa e almeno un giorno.",
    zone_title="Fuso orario",
    zone_text="Gli orari di questa pagina sono in questo fuso.",
    zone_default="Non scelto ({zone})",
    invalid_title="Questo link non funziona",
    invalid_text="È incompleto o scaduto. Usi il link di un messaggio più recente.",
    unavailable_title="Riprovi",
    unavailable_text="Al momento non funziona. Nulla è stato modificato. Riprovi tra un minuto.",
)
_ARABIC = Texts(
    language="ar",
    right_to_left=True,
    channels={
        Channel.EMAIL: "البريد الإلكتروني",
        Channel.SMS: "رسالة نصية",
        Channel.PUSH: "إشعار فوري",
        Channel.IN_APP: "داخل التطبيق",
    },
    unsubscribe_title="إلغاء الاشتراك",
    unsubscribe_question="هل تريد التوقف عن تلقي «{category}» عبر هذه القناة: {channel}؟",
    unsubscribe_button="إلغاء الاشتراك",
    done_title="تم إلغاء اشتراكك",
    done_text="لن تتلقى «{category}» بعد الآن عبر هذه القناة: {channel}.",
    undo_button="الاشتراك من جديد",
    undone_title="تم اشتراكك من جديد",
    undone_text="ستتلقى «{category}» مجددًا عبر هذه القناة: {channel}.",
    mandatory_text="يُرسل «{category}» دائمًا لأنه ضروري لاستخدام الخدمة.",
    choices_link="كل اختياراتي",
    choices_title="تفضيلات الإشعارات",
    choices_text="اختر ما تريد أن تعرفه، وكيف.",
    everything="كل الإشعارات",
    everything_text="ما يُوقَف هنا يُوقَف لكل الأنواع أدناه.",
    always="يُرسل دائمًا",
    save_button="حفظ",
    saved="تم حفظ اختياراتك.",
    often="عدد المرات",
    cadences={
        Cadence.AT_ONCE: "فورًا",
        Cadence.HOURLY: "كل ساعة",
        Cadence.DAILY: "كل يوم",
        Cadence.WEEKLY: "كل أسبوع",
    },
    digest_title="وقت الملخصات",
    digest_text="تصل الملخصات اليومية والأسبوعية في هذا الوقت.",
    digest_at="الوقت",
    digest_day="الأسبوعية يوم",
    quiet_title="ساعات الهدوء",
    quiet_text="ما يصل خلالها يُرسل بعدها؛ أما العاجل فيصل فورًا.",
    quiet_box="عدم الإزعاج",
    quiet_from="من",
    quiet_to="إلى",
    quiet_days="تبدأ في",
    quiet_wrong="لم يُحفظ شيء. يلزم وقت بداية، ووقت نهاية مختلف، ويوم واحد على الأقل.",
    zone_title="المنطقة الزمنية",
    zone_text="الأوقات في هذه الصفحة بتوقيت هذه المنطقة.",
    zone_default="لم تُحدد ({zone})",
    invalid_title="هذا الرابط لا يعمل",
    invalid_text="الرابط غير مكتمل أو انتهت صلاحيته. يُرجى استخدام رابط رسالة أحدث.",
    unavailable_title="يُرجى المحاولة مرة أخرى",
    unavailable_text="هذا لا يعمل في الوقت الحالي. لم يتغير شيء. حاول مرة أخرى بعد دقيقة.",
)

LANGUAGES: Mapping[str, Texts] = {
    one.language: one for one in (ENGLISH, _GERMAN, _FRENCH, _SPANISH, _ITALIAN, _ARABIC)
}
"""By language tag."""
